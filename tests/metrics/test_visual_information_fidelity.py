import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from shared_networks.metrics import compute_visual_information_fidelity


def reference(source, fused, saturate):
    """Pixel-domain VIF with two-dimensional windows and scipy's correlation, branch by branch."""
    shared = own = 0.0
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        axis = np.arange(size) - size // 2
        window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * (size / 5) ** 2))
        window /= window.sum()

        def mean(image, window=window):
            return correlate2d(image, window, mode="valid")

        if scale > 1:
            source, fused = mean(source)[::2, ::2], mean(fused)[::2, ::2]
        products = [source * source, fused * fused, source * fused]
        if saturate and scale == 1:
            products = [np.minimum(product, 255) for product in products]
        mean_s, mean_f = mean(source), mean(fused)
        variance_s = np.maximum(mean(products[0]) - mean_s**2, 0)
        variance_f = np.maximum(mean(products[1]) - mean_f**2, 0)
        covariance = mean(products[2]) - mean_s * mean_f
        for s, f, c in zip(variance_s.ravel(), variance_f.ravel(), covariance.ravel(), strict=True):
            gain = c / (s + 1e-10)
            noise = f - gain * c
            if s < 1e-10:
                gain, noise, s = 0.0, f, 0.0
            if f < 1e-10:
                gain, noise = 0.0, 0.0
            if gain < 0:
                gain, noise = 0.0, f
            shared += np.log10(1 + gain**2 * s / (max(noise, 1e-10) + 2))
            own += np.log10(1 + s / 2)
    return shared / own


@pytest.mark.parametrize("definition", ["standard", "paper"])
def test_equals_the_formulas_in_scipy(triplet, definition):
    expected = [
        sum(reference(source[0], f[0], definition == "paper") for source in (a, b))
        for f, a, b in zip(*(image.numpy() for image in triplet), strict=True)
    ]
    value = compute_visual_information_fidelity(*triplet, definition)
    assert value.tolist() == pytest.approx(expected, rel=1e-7)


def test_equal_images_score_two(triplet):
    fused = triplet[0]
    value = compute_visual_information_fidelity(fused, fused, fused)
    assert value.tolist() == pytest.approx([2.0, 2.0], abs=1e-6)


def test_more_contrast_scores_above_the_ideal(triplet):
    a = triplet[1]
    value = compute_visual_information_fidelity(1.5 * a, a, a)
    assert value.min().item() > 2.1


def test_source_without_variance_counts_nothing(triplet):
    fused, a, _ = triplet
    empty = torch.full_like(a, 255.0)
    alone = compute_visual_information_fidelity(fused, a, empty)
    assert torch.equal(2 * alone, compute_visual_information_fidelity(fused, a, a))


@pytest.mark.parametrize(("scales", "side"), [(1, 17), (2, 25), (3, 33), (4, 41)])
def test_smallest_image_of_each_number_of_scales(scales, side):
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 255
    value = compute_visual_information_fidelity(image, image, image, scales=scales)
    assert value.item() == pytest.approx(2.0, abs=1e-6)
    smaller = image[..., 1:]
    with pytest.raises(ValueError, match=f"at least {side} x {side}"):
        compute_visual_information_fidelity(smaller, smaller, smaller, scales=scales)


def test_unknown_number_of_scales_is_refused(triplet):
    with pytest.raises(ValueError, match="scales"):
        compute_visual_information_fidelity(*triplet, scales=5)
