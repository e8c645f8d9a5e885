import numpy as np
import pytest
import torch

from shared_networks.metrics import compute_average_gradient


def test_ramp():
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(7.0), indexing="ij")
    ramp = (3 * rows + 4 * columns).view(1, 1, 9, 7)
    assert compute_average_gradient(ramp, ramp, ramp).item() == pytest.approx((25 / 2) ** 0.5)


def test_constant_image():
    image = torch.full((1, 1, 5, 5), 9.0)
    assert compute_average_gradient(image, image, image).item() == 0.0


def test_equals_numpy(triplet):
    expected = []
    for image in triplet[0][:, 0].numpy():
        vertical, horizontal = np.gradient(image)
        expected.append(np.sqrt((vertical**2 + horizontal**2) / 2).mean())
    assert compute_average_gradient(*triplet).tolist() == pytest.approx(expected, abs=1e-12)
