"""The separable SSIM is MONAI's, faster."""

import pytest
import torch
from monai.losses import SSIMLoss

from shared_networks.losses import VolumeSimilarityLoss


def volumes(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    target = torch.rand(shape, generator=generator)
    return target + 0.2 * torch.randn(shape, generator=generator), target


@pytest.mark.parametrize("shape", [(2, 2, 13, 12, 11), (1, 1, 11, 14, 12)])
def test_value_and_gradient_are_those_of_monai(shape):
    estimate, target = volumes(shape)
    gradients, values = [], []
    for loss in (VolumeSimilarityLoss(), SSIMLoss(spatial_dims=3, data_range=1.0)):
        leaf = estimate.clone().requires_grad_()
        value = loss(leaf, target)
        value.backward()
        values.append(value.item())
        gradients.append(leaf.grad)
    assert values[0] == pytest.approx(values[1], abs=1e-5) and values[0] > 0.1
    assert torch.allclose(*gradients, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 12, 12, 4), (1, 2, 5, 3, 12), (1, 1, 7, 1, 2)])
def test_window_shrinks_to_short_axes(shape):
    estimate, target = volumes(shape)
    window = [min(11, length) for length in shape[2:]]
    expected = SSIMLoss(spatial_dims=3, data_range=1.0, win_size=window)(estimate, target)
    assert VolumeSimilarityLoss()(estimate, target).item() == pytest.approx(expected.item(), abs=1e-5)


def test_constants_leave_the_luminance_term():
    a, b = 0.3, 0.7
    expected = 1 - (2 * a * b + 1e-4) / (a**2 + b**2 + 1e-4)
    one = torch.ones(1, 1, 12, 12, 12, dtype=torch.float64)
    assert VolumeSimilarityLoss()(a * one, b * one).item() == pytest.approx(expected, abs=1e-9)


def test_equal_volumes_have_no_distance_and_windows_have_a_voxel():
    target = volumes((1, 2, 12, 12, 12))[1]
    assert VolumeSimilarityLoss()(target, target).item() == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        VolumeSimilarityLoss(window=0)
