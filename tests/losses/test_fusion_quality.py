"""The quality loss is minus the weighted metrics, and its gradient improves them."""

import pytest
import torch

from shared_networks.losses import FusionQualityLoss
from shared_networks.metrics import compute_correlation_of_differences, compute_edge_preservation


@pytest.fixture
def sources():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 2, 12, 12, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=48, mode="bilinear") * 0.9 + 0.05


def test_it_is_minus_the_weighted_sum_of_the_metrics(sources):
    fused = sources.mean(dim=1, keepdim=True)
    grey = [image * 255 for image in (fused, sources[:, :1], sources[:, 1:])]
    expected = -(2 * compute_correlation_of_differences(*grey).mean() + 3 * compute_edge_preservation(*grey).mean())
    loss = FusionQualityLoss({"correlation_of_differences": 2.0, "edge_preservation": 3.0, "deviation": 0.0})
    assert loss(fused, sources).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "multi_exposure_ssim",
        "mean_source_ssim",
        "correlation_of_differences",
        "visual_information",
        "visual_information_8_bit",
        "mutual_information",
        "edge_preservation",
        "deviation",
        "bright_share",
    ],
)
def test_a_step_along_the_gradient_lowers_every_term(sources, name):
    loss = FusionQualityLoss({name: 1.0})
    fused = (sources.mean(dim=1, keepdim=True) * 0.8 + 0.05).requires_grad_(True)
    before = loss(fused, sources)
    (gradient,) = torch.autograd.grad(before, fused)
    assert torch.isfinite(gradient).all()
    after = loss(fused.detach() - 1e-3 * gradient / gradient.abs().max(), sources)
    assert after.item() < before.item()


def test_patches_without_content_are_left_out(sources):
    loss = FusionQualityLoss({"edge_preservation": 1.0})
    fused = sources.mean(dim=1, keepdim=True)
    with_black = torch.cat([sources, torch.zeros_like(sources[:1])])
    black_fused = torch.cat([fused, torch.full_like(fused[:1], 0.3)])
    assert loss(black_fused, with_black).item() == pytest.approx(loss(fused, sources).item(), rel=1e-6)


def test_only_black_patches_give_zero_with_a_zero_gradient():
    fused = torch.full((1, 1, 48, 48), 0.2, requires_grad=True)
    value = FusionQualityLoss({"edge_preservation": 1.0})(fused, torch.zeros(1, 2, 48, 48))
    value.backward()
    assert value.item() == 0.0
    assert torch.equal(fused.grad, torch.zeros_like(fused))


def test_an_unknown_term_is_named():
    with pytest.raises(ValueError, match="sharpness"):
        FusionQualityLoss({"sharpness": 1.0})


def test_beyond_its_ceiling_a_term_has_no_gradient(sources):
    fused = sources.mean(dim=1, keepdim=True).requires_grad_(True)
    terms = {"correlation_of_differences": 2.0}
    FusionQualityLoss(terms, ceilings={"correlation_of_differences": -1.9})(fused, sources).backward()
    assert torch.equal(fused.grad, torch.zeros_like(fused))
    free = FusionQualityLoss(terms)(fused, sources)
    assert FusionQualityLoss(terms, ceilings={"correlation_of_differences": 2.0})(fused, sources) == free


def test_histograms_may_take_every_second_pixel():
    torch.manual_seed(0)
    fused, sources = torch.rand(1, 1, 48, 48), torch.rand(1, 2, 48, 48)
    thinned = FusionQualityLoss({"mutual_information": 1.0}, histogram_stride=2)(fused, sources)
    small = FusionQualityLoss({"mutual_information": 1.0})(fused[..., ::2, ::2], sources[..., ::2, ::2])
    torch.testing.assert_close(thinned, small)
    terms = {"edge_preservation": 1.0}
    assert FusionQualityLoss(terms, histogram_stride=2)(fused, sources) == FusionQualityLoss(terms)(fused, sources)
