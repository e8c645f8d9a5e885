"""Values of the fusion metrics: against formulas written out, in closed form, and at the ends of their ranges."""

import math

import numpy as np
import pytest
import torch
from monai.losses import GlobalMutualInformationLoss
from scipy.ndimage import correlate1d
from scipy.signal.windows import gaussian

from shared_networks import metrics
from shared_networks.metrics.feature_mutual_information import sobel_edges
from shared_networks.metrics.windows import filter_valid, gaussian_window
from tests.metrics import references

# Metric, definition, reference, tolerance.
REFERENCES = [
    ("average_gradient", "standard", references.average_gradient, 1e-12),
    ("correlation_of_differences", "standard", references.correlation_of_differences, 1e-6),
    ("edge_preservation", "standard", references.edge_preservation, 2e-4),
    ("entropy", "standard", references.entropy, 1e-12),
    ("feature_mutual_information", "standard", references.feature_mutual_information, 1e-9),
    ("mean_source_ssim", "standard", references.mean_source_ssim, 2e-5),
    ("multi_exposure_ssim", "standard", references.multi_exposure_ssim, 1e-9),
    ("mutual_information", "standard", references.mutual_information, 1e-9),
    ("standard_deviation", "standard", references.standard_deviation, 1e-12),
    ("standard_deviation", "paper", references.standard_deviation_8_bit, 1e-12),
    ("visual_information_fidelity", "standard", references.visual_information_fidelity, 1e-7),
    ("visual_information_fidelity", "paper", references.visual_information_fidelity_8_bit, 1e-7),
]


def compute(name):
    """The function of a metric."""
    return getattr(metrics, f"compute_{name}")


def picture(*values, side=2):
    """A picture 1 x 1 x side x n of these grey levels."""
    return torch.tensor(values).view(1, 1, side, -1)


@pytest.mark.parametrize(("name", "definition", "reference", "tolerance"), REFERENCES)
def test_equals_the_formulas_written_out(triplet, name, definition, reference, tolerance):
    if name == "multi_exposure_ssim":
        # Without the black margin, where all is flat: the published code has other constants for that.
        triplet = [image[:, :, :34, 14:40] for image in triplet]
    cases = zip(*(image[:, 0].numpy() for image in triplet), strict=True)
    expected = [reference(*images) for images in cases]
    assert compute(name)(*triplet, definition).tolist() == pytest.approx(expected, rel=1e-7, abs=tolerance)


EDGES_KEPT = 0.9994 / (1 + math.exp(-7.5)) * 0.9879 / (1 + math.exp(-4.4))


@pytest.mark.parametrize(
    ("name", "ideal", "tolerance"),
    [
        ("edge_preservation", EDGES_KEPT, 1e-6),
        ("feature_mutual_information", 1.0, 0.0),
        ("mean_source_ssim", 1.0, 1e-6),
        # The length of a patch has 0.001 added, so the score misses 1 by some 1e-9.
        ("multi_exposure_ssim", 1.0, 1e-7),
        ("visual_information_fidelity", 2.0, 1e-6),
    ],
)
def test_equal_images_score_the_ideal(triplet, name, ideal, tolerance):
    fused = triplet[0]
    assert compute(name)(fused, fused, fused).tolist() == pytest.approx([ideal] * 2, abs=tolerance)


@pytest.mark.parametrize("name", ["average_gradient", "entropy", "standard_deviation"])
def test_a_constant_image_scores_zero(name):
    image = torch.full((1, 1, 8, 8), 77.0, requires_grad=name == "standard_deviation")
    value = compute(name)(image, image, image)
    assert value.item() == 0.0
    if image.requires_grad:
        value.sum().backward()
        assert torch.equal(image.grad, torch.zeros_like(image))


# --- by hand


def test_average_gradient_of_a_ramp():
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(7.0), indexing="ij")
    ramp = (3 * rows + 4 * columns).view(1, 1, 9, 7)
    assert metrics.compute_average_gradient(ramp, ramp, ramp).item() == pytest.approx((25 / 2) ** 0.5)


def test_correlation_of_differences_of_sums_and_constants(triplet):
    _, a, b = triplet
    assert metrics.compute_correlation_of_differences(a + b, a, b).tolist() == pytest.approx([2.0, 2.0], abs=1e-6)
    # A constant source counts zero and an inverted one minus one.
    constant = torch.full_like(b, 40.0)
    value = metrics.compute_correlation_of_differences(constant - a, a, constant)
    assert value.tolist() == pytest.approx([-1.0, -1.0], abs=1e-6)


@pytest.mark.parametrize("levels", [2, 4, 256])
def test_entropy_of_equally_frequent_levels_is_the_logarithm_of_their_number(levels):
    image = torch.arange(1024).remainder(levels).view(1, 1, 32, 32).float()
    assert metrics.compute_entropy(image, image, image).item() == pytest.approx(math.log2(levels))


def test_entropy_is_that_of_whole_levels(triplet):
    fused, a, b = triplet
    shifted = fused + 0.4 * torch.linspace(-1, 1, fused[0].numel()).view(1, *fused.shape[1:])
    assert torch.equal(metrics.compute_entropy(shifted, a, b), metrics.compute_entropy(fused, a, b))


def test_standard_deviation_in_8_bit_by_hand():
    half = picture(*[0.0, 255.0] * 8, side=4)
    assert metrics.compute_standard_deviation(half, half, half).item() == pytest.approx(127.5)
    # The black half counts 0, the white half min(128^2, 255).
    assert metrics.compute_standard_deviation(half, half, half, "paper").item() == pytest.approx((255 / 2) ** 0.5)
    # Mean 5. Deviations -5, -3, 1.5 (rounded up to 2), 6.5 (7): (0 + 0 + 4 + 49) / 4.
    image = picture(0.0, 2.0, 6.5, 11.5)
    assert metrics.compute_standard_deviation(image, image, image, "paper").item() == pytest.approx((53 / 4) ** 0.5)


# --- mutual information


def test_mutual_information_of_equal_and_of_independent_images(triplet):
    fused = triplet[0]
    expected = 2 * metrics.compute_entropy(fused, fused, fused)
    assert torch.allclose(metrics.compute_mutual_information(fused, fused, fused), expected, atol=1e-12)
    columns = torch.arange(16.0).repeat(16, 1).view(1, 1, 16, 16)
    rows = columns.transpose(2, 3)
    assert metrics.compute_mutual_information(columns, rows, rows).item() == pytest.approx(0.0, abs=1e-12)


def test_the_paper_merges_254_and_255_in_the_joint_histogram_only(triplet):
    # A quarter of the pixels each at (0, 0), (0, 0), (254, 254), (255, 255): H(F) = H(A) = 1.5 bits, and the joint
    # histogram holds two bins of one half: 1 bit. So each source gives 1.5 + 1.5 - 1 = 2, in the standard form 1.5.
    image = picture(0.0, 0.0, 254.0, 255.0)
    assert metrics.compute_mutual_information(image, image, image, "standard").item() == pytest.approx(3.0)
    assert metrics.compute_mutual_information(image, image, image, "paper").item() == pytest.approx(4.0)
    grey = [image.clamp(max=250) for image in triplet]
    standard, paper = (metrics.compute_mutual_information(*grey, d) for d in ("standard", "paper"))
    assert torch.equal(standard, paper)


def test_soft_mutual_information_equals_the_loss_of_monai(triplet):
    fused, a, b = triplet
    loss = GlobalMutualInformationLoss("gaussian", num_bins=32, reduction="none", smooth_nr=1e-15, smooth_dr=1e-15)
    expected = -(loss(fused / 255, a / 255) + loss(fused / 255, b / 255)) / math.log(2)
    assert torch.allclose(metrics.compute_soft_mutual_information(fused, a, b), expected, atol=1e-6)
    with pytest.raises(ValueError, match="bins"):
        metrics.compute_soft_mutual_information(*triplet, bins=1)


def test_widely_spaced_levels_give_the_hard_value():
    # Levels on every fourth of 32 bin centres hardly leak into other bins.
    steps = torch.tensor([0.0, 4, 12, 20, 28], dtype=torch.float64) * 255 / 31
    generator = torch.Generator().manual_seed(0)
    a, b = (steps[torch.randint(5, (1, 1, 24, 24), generator=generator)] for _ in range(2))
    fused = torch.maximum(a, b)
    hard = metrics.compute_mutual_information(fused, a, b)
    assert metrics.compute_soft_mutual_information(fused, a, b).item() == pytest.approx(hard.item(), rel=0.01)


# --- edges


def test_a_flat_fused_image_keeps_no_edge(triplet):
    _, a, b = triplet
    # Outside lies zero, so that another flat image has an edge there.
    assert metrics.compute_edge_preservation(torch.zeros_like(a), a, b).max().item() < 1e-3
    flat = torch.full_like(a, 30.0)
    # A window with edges shares nothing with a flat one, a window without any equals it.
    empty = [1 - torch.nn.functional.max_pool2d(sobel_edges(s).double(), 3, stride=1) for s in (a, b)]
    expected = torch.stack(empty).mean(dim=(0, 2, 3, 4))
    value = metrics.compute_feature_mutual_information(flat, a, b)
    assert value.tolist() == pytest.approx(expected.tolist(), abs=1e-12)


def test_edges_of_other_orientation_are_lost():
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    upright, level = (4 * columns).view(1, 1, 32, 32), (4 * rows).view(1, 1, 32, 32)
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    value = metrics.compute_edge_preservation(level[inside], upright[inside], upright[inside])
    assert value.item() < 0.5 * EDGES_KEPT


def test_a_step_has_an_edge_of_one_pixel_and_a_flat_image_none(triplet):
    image = torch.zeros(1, 1, 12, 12)
    image[..., 6:] = 200.0
    edges = sobel_edges(image)[0, 0]
    assert edges[1:-1].sum(dim=1).tolist() == [1] * 10
    assert set(edges.nonzero()[:, 1].tolist()) <= {5, 6}
    assert not edges[[0, -1]].any()
    assert not sobel_edges(torch.full((1, 1, 9, 9), 50.0)).any()
    expected = [references.thin_edges(picture) for picture in triplet[0][:, 0].numpy()]
    assert np.array_equal(sobel_edges(triplet[0])[:, 0].numpy(), expected) and 0.01 < np.mean(expected) < 0.5


# --- similarity


def test_only_the_mean_of_the_ssims_sees_a_grey_background(triplet):
    fused, a, b = triplet
    lifted = fused * 0.9 + 20
    same = metrics.compute_multi_exposure_ssim(lifted, a, b) - metrics.compute_multi_exposure_ssim(fused * 0.9, a, b)
    seen = metrics.compute_mean_source_ssim(lifted, a, b) - metrics.compute_mean_source_ssim(fused * 0.9, a, b)
    assert same.abs().max().item() < 1e-9
    assert seen.max().item() < -0.05


def test_one_source_alone_is_desired_where_the_other_is_flat(triplet):
    _, a, b = triplet
    flat = torch.full_like(b, 100.0)
    assert metrics.compute_multi_exposure_ssim(a, a, flat).min().item() > 0.9999
    assert metrics.compute_multi_exposure_ssim(b, a, flat).max().item() < 0.9


def test_visual_information_rises_with_contrast_and_passes_over_a_source_without_variance(triplet):
    fused, a, _ = triplet
    assert metrics.compute_visual_information_fidelity(1.5 * a, a, a).min().item() > 2.1
    alone = metrics.compute_visual_information_fidelity(fused, a, torch.full_like(a, 255.0))
    assert torch.equal(2 * alone, metrics.compute_visual_information_fidelity(fused, a, a))


@pytest.mark.parametrize(
    ("name", "side", "keys"),
    [
        ("multi_exposure_ssim", 11, {}),
        ("mean_source_ssim", 11, {}),
        *(("visual_information_fidelity", 8 * scales + 9, {"scales": scales}) for scales in (1, 2, 3, 4)),
    ],
)
def test_the_smallest_image(name, side, keys):
    image = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 255
    ideal = 2.0 if name.startswith("visual") else 1.0
    assert compute(name)(image, image, image, **keys).item() == pytest.approx(ideal, abs=1e-6)
    smaller = image[..., 1:]
    with pytest.raises(ValueError, match=f"at least {side} x {side}"):
        compute(name)(smaller, smaller, smaller, **keys)


def test_unknown_number_of_scales_is_refused(triplet):
    with pytest.raises(ValueError, match="scales"):
        metrics.compute_visual_information_fidelity(*triplet, scales=5)


# --- windows


def test_windows_equal_scipys_and_keep_channels_apart():
    expected = gaussian(11, 1.5)
    window = gaussian_window(11, 1.5, torch.zeros((), dtype=torch.float64))
    assert window.tolist() == pytest.approx((expected / expected.sum()).tolist(), abs=1e-15)
    images = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # An asymmetric window tells a correlation from a convolution.
    window = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)
    both = correlate1d(correlate1d(images.numpy(), window.numpy(), axis=2), window.numpy(), axis=3)
    expected = torch.from_numpy(both[:, :, 1:-1, 1:-1].copy())
    assert torch.allclose(filter_valid(images, window), expected, atol=1e-14)
