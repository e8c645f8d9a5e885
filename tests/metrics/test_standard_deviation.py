import numpy as np
import pytest
import torch

from shared_networks.metrics import compute_standard_deviation


def test_standard_equals_numpy(triplet):
    expected = [image.std() for image in triplet[0].numpy()]
    assert compute_standard_deviation(*triplet).tolist() == pytest.approx(expected, abs=1e-12)


def test_half_and_half():
    image = torch.tensor([0.0, 255.0]).repeat(8).view(1, 1, 4, 4)
    assert compute_standard_deviation(image, image, image).item() == pytest.approx(127.5)
    # 8 bit: the black half counts 0, the white half min(128^2, 255).
    assert compute_standard_deviation(image, image, image, "paper").item() == pytest.approx((255 / 2) ** 0.5)


def test_paper_by_hand():
    # Mean 5. Deviations -5, -3, 1.5 (rounded up to 2), 6.5 (7): (0 + 0 + 4 + 49) / 4.
    image = torch.tensor([0.0, 2.0, 6.5, 11.5]).view(1, 1, 2, 2)
    assert compute_standard_deviation(image, image, image, "paper").item() == pytest.approx((53 / 4) ** 0.5)


def test_paper_equals_8_bit_arithmetic(triplet):
    expected = []
    for image in triplet[0].numpy():
        difference = np.floor(image - image.mean() + 0.5).clip(0, 255).astype(np.uint8)
        square = np.minimum(difference.astype(np.int64) ** 2, 255).astype(np.uint8)
        expected.append(np.sqrt(square.mean()))
    value = compute_standard_deviation(*triplet, "paper")
    assert value.tolist() == pytest.approx(expected, abs=1e-12)
    assert value.max().item() < 255**0.5


def test_gradient_of_a_constant_image_is_zero():
    image = torch.full((1, 1, 4, 4), 3.0, requires_grad=True)
    value = compute_standard_deviation(image, image, image)
    value.sum().backward()
    assert value.item() == 0.0
    assert torch.equal(image.grad, torch.zeros_like(image))
