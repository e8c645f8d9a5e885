"""Sobel gradients against scipy, on ramps and on constants."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from shared_networks.blocks.gradients import sobel_gradient_magnitude, sobel_kernels


@pytest.mark.parametrize("shape", [(9, 14), (6, 7, 8), (1, 5), (3, 1, 4)])
def test_equals_the_sum_of_absolute_scipy_sobel_responses(shape):
    image = np.random.default_rng(0).normal(size=shape)
    expected = sum(abs(ndimage.sobel(image, axis=axis, mode="nearest")) for axis in range(len(shape)))
    result = sobel_gradient_magnitude(torch.from_numpy(image)[None, None])[0, 0]
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6)])
def test_constant_has_no_gradient_up_to_the_border(shape):
    assert sobel_gradient_magnitude(torch.full((1, 2, *shape), 0.7, dtype=torch.float64)).abs().max() < 1e-14


def test_a_ramp_has_the_kernel_sum_times_its_slope():
    ramp = (3.0 * torch.arange(8.0)).view(1, 1, 1, 8).expand(1, 1, 8, 8)
    gradient = sobel_gradient_magnitude(ramp)
    # (1 + 2 + 1) rows, a difference over two pixels.
    assert torch.equal(gradient[..., 1:-1], torch.full((1, 1, 8, 6), 4 * 2 * 3.0))


def test_channels_do_not_mix():
    image = torch.rand(2, 3, 7, 7)
    alone = torch.cat([sobel_gradient_magnitude(image[:, i : i + 1]) for i in range(3)], dim=1)
    torch.testing.assert_close(sobel_gradient_magnitude(image), alone)


def test_kernels_and_refusal():
    assert sobel_kernels(2)[1, 0].tolist() == [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]
    assert sobel_kernels(3)[0, 0, 0].sum() == -16
    with pytest.raises(ValueError, match="2 or 3"):
        sobel_kernels(4)
