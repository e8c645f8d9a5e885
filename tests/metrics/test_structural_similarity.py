import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from shared_networks.metrics import compute_mean_source_ssim, compute_multi_exposure_ssim


def desired_patch_similarity(fused, sources):
    """MEF-SSIM of one 11 x 11 patch, from the patches themselves."""
    axis = np.arange(11) - 5
    window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    centred = [source - source.mean() for source in sources]
    lengths = [np.linalg.norm(patch) + 0.001 for patch in centred]
    agreement = np.linalg.norm(sum(centred)) / sum(np.linalg.norm(patch) for patch in centred)
    exponent = min(np.tan(np.pi / 2 * min(agreement, 1 - 1e-16)), 10)
    weights = np.array([(length / 11) ** exponent for length in lengths])
    weights /= weights.sum()
    desired = sum(w * patch / length for w, patch, length in zip(weights, centred, lengths, strict=True))
    desired *= max(lengths) / np.linalg.norm(desired)
    deviations = [patch - (window * patch).sum() for patch in (desired, fused)]
    variance_d, variance_f = ((window * d**2).sum() for d in deviations)
    covariance = (window * deviations[0] * deviations[1]).sum()
    constant = (0.03 * 255) ** 2
    return (2 * covariance + constant) / (variance_d + variance_f + constant)


def test_multi_exposure_ssim_equals_patch_by_patch_numpy(triplet):
    # Columns without the black margin, where no patch is flat: the published code has other constants for that.
    fused, a, b = (image[:, :, :34, 14:40] for image in triplet)
    expected = []
    for f, x, y in zip(*(image[:, 0].numpy() for image in (fused, a, b)), strict=True):
        patches = [
            desired_patch_similarity(
                *(i[r : r + 11, c : c + 11] for i in (f,)), [i[r : r + 11, c : c + 11] for i in (x, y)]
            )
            for r in range(34 - 10)
            for c in range(26 - 10)
        ]
        expected.append(np.mean(patches))
    assert compute_multi_exposure_ssim(fused, a, b).tolist() == pytest.approx(expected, abs=1e-9)


def test_equal_images_score_one(triplet):
    fused = triplet[0]
    # The length of a patch has 0.001 added, so the score misses 1 by some 1e-9.
    assert compute_multi_exposure_ssim(fused, fused, fused).tolist() == pytest.approx([1.0, 1.0], abs=1e-7)
    assert compute_mean_source_ssim(fused, fused, fused).tolist() == pytest.approx([1.0, 1.0], abs=1e-6)


def test_only_the_mean_of_the_ssims_sees_a_grey_background(triplet):
    fused, a, b = triplet
    lifted = fused * 0.9 + 20
    same = compute_multi_exposure_ssim(lifted, a, b) - compute_multi_exposure_ssim(fused * 0.9, a, b)
    seen = compute_mean_source_ssim(lifted, a, b) - compute_mean_source_ssim(fused * 0.9, a, b)
    assert same.abs().max().item() < 1e-9
    assert seen.max().item() < -0.05


def test_one_source_alone_is_desired_where_the_other_is_flat(triplet):
    _, a, b = triplet
    flat = torch.full_like(b, 100.0)
    assert compute_multi_exposure_ssim(a, a, flat).min().item() > 0.9999
    assert compute_multi_exposure_ssim(b, a, flat).max().item() < 0.9


def test_mean_of_the_ssims_equals_scikit_image(triplet):
    options = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}

    def ssim(first, second):
        return structural_similarity(first, second, **options)[1][5:-5, 5:-5].mean()

    expected = [
        (ssim(f, a) + ssim(f, b)) / 2 for f, a, b in zip(*(image[:, 0].numpy() for image in triplet), strict=True)
    ]
    assert compute_mean_source_ssim(*triplet).tolist() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("compute", [compute_multi_exposure_ssim, compute_mean_source_ssim])
def test_image_smaller_than_the_window_is_refused(compute):
    small = torch.zeros(1, 1, 10, 12)
    with pytest.raises(ValueError, match="at least 11 x 11"):
        compute(small, small, small)
