import pytest
import torch
from scipy.ndimage import correlate1d
from scipy.signal.windows import gaussian

from shared_networks.metrics.windows import filter_valid, gaussian_window


def test_window_equals_scipy():
    expected = gaussian(11, 1.5)
    window = gaussian_window(11, 1.5, torch.zeros((), dtype=torch.float64))
    assert window.tolist() == pytest.approx((expected / expected.sum()).tolist(), abs=1e-15)


def test_filter_equals_scipy_and_keeps_channels_apart():
    images = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # An asymmetric window tells a correlation from a convolution.
    window = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    both = correlate1d(correlate1d(images.numpy(), window.numpy(), axis=2), window.numpy(), axis=3)
    expected = torch.from_numpy(both[:, :, 1:-1, 1:-1].copy())
    assert torch.allclose(filter_valid(images, window), expected, atol=1e-14)
