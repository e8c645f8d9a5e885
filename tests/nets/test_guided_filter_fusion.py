import numpy as np
import pytest
import torch
from scipy.ndimage import convolve, correlate, gaussian_filter, uniform_filter

from shared_networks.nets import GuidedFilterFusion
from shared_networks.nets.guided_filter_fusion import guided_filter, window_mean


@pytest.fixture
def pair():
    return torch.rand(2, 2, 33, 46, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_window_mean_takes_what_lies_inside(pair):
    image = pair[:1, :1]
    means = window_mean(image, 2)
    assert means[0, 0, 0, 0] == pytest.approx(float(image[0, 0, :3, :3].mean()))
    expected = uniform_filter(image[0, 0].numpy(), 5)[2:-2, 2:-2]
    assert np.abs(means[0, 0, 2:-2, 2:-2].numpy() - expected).max() < 1e-12


def test_guided_filter_returns_the_guide_and_smooths_where_it_is_flat(pair):
    guide = pair[:, :1]
    # Filtering the guide by itself with epsilon 0 gives slope 1 and offset 0.
    assert torch.allclose(guided_filter(guide, guide, 3, 0.0), guide, atol=1e-9)
    flat = torch.full_like(guide, 0.5)
    assert torch.allclose(guided_filter(guide, flat, 3, 0.1), window_mean(window_mean(guide, 3), 3))
    # A linear function of the guide stays one, away from regularisation.
    assert torch.allclose(guided_filter(3 * guide + 1, guide, 3, 0.0), 3 * guide + 1, atol=1e-8)


def test_fusion_equals_scipy_away_from_the_border():
    first, second = torch.rand(2, 260, 270, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()
    laplacian = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    saliency = [
        gaussian_filter(np.abs(convolve(image, laplacian, mode="nearest")), 5, truncate=1, mode="nearest")
        for image in (first, second)
    ]
    kernel = np.exp(-(np.arange(-5, 6) ** 2) / 50)
    kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
    by_hand = correlate(np.abs(convolve(first, laplacian, mode="nearest")), kernel, mode="nearest")
    assert np.abs(saliency[0] - by_hand).max() < 1e-12

    def mean(image, radius):
        return uniform_filter(image, 2 * radius + 1, mode="nearest")

    def guided(mask, guide, radius, epsilon):
        slope = (mean(guide * mask, radius) - mean(guide, radius) * mean(mask, radius)) / (
            mean(guide**2, radius) - mean(guide, radius) ** 2 + epsilon
        )
        offset = mean(mask, radius) - slope * mean(guide, radius)
        return mean(slope, radius) * guide + mean(offset, radius)

    mask = (saliency[0] >= saliency[1]).astype(float)
    expected = np.zeros_like(first)
    bases = [mean(image, 15) for image in (first, second)]
    details = [image - base for image, base in zip((first, second), bases, strict=True)]
    for layers, radius, epsilon in ((bases, 45, 0.3), (details, 7, 1e-6)):
        one = guided(mask, first, radius, epsilon).clip(0)
        other = guided(1 - mask, second, radius, epsilon).clip(0)
        expected += (one * layers[0] + other * layers[1]) / (one + other)
    fused = GuidedFilterFusion()(torch.tensor(np.stack([first, second]))[None])[0, 0].numpy()
    # Two windows of 91 pixels and the base layer reach 106 pixels far.
    inside = (slice(107, -107), slice(107, -107))
    assert np.abs(fused - expected.clip(0, 1))[inside].max() < 1e-7


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (33, 46)])
def test_equal_sources_come_back_at_any_size(size):
    source = torch.rand(3, 1, *size, generator=torch.Generator().manual_seed(1))
    fused = GuidedFilterFusion()(source.repeat(1, 2, 1, 1))
    assert fused.shape == source.shape and fused.dtype == source.dtype
    assert torch.allclose(fused, source, atol=1e-6)


def test_result_does_not_depend_on_the_batch_and_stays_in_range(pair):
    network = GuidedFilterFusion()
    fused = network(pair)
    assert torch.allclose(fused[1:], network(pair[1:]), atol=1e-9)
    assert 0 <= fused.min() < fused.max() <= 1
    assert not network.state_dict()
