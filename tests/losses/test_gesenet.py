"""Closed forms of the GeSeNet losses (Eq. 9-14) and of the sparsity term."""

import pytest
import torch

from shared_networks.losses import EdgeLoss, GeSeNetLoss, MaskSparsityLoss, StructuralSimilarityFusionLoss


@pytest.fixture
def sources():
    return torch.rand(2, 2, 24, 20, generator=torch.Generator().manual_seed(0))


def test_edge_loss_of_constants_is_their_distance_to_the_maximum():
    sources = torch.stack([torch.full((8, 8), 0.3), torch.full((8, 8), 0.7)])[None]
    loss = EdgeLoss(gamma=10.0)(torch.full((1, 1, 8, 8), 0.5), sources)
    assert loss.item() == pytest.approx(0.2, abs=1e-6)


def test_edge_loss_of_ramps_counts_gamma_times_the_missing_gradient():
    ramp = torch.arange(16.0).expand(16, 16) / 100
    sources = torch.stack([ramp, torch.zeros_like(ramp)])[None]
    # Sobel of a ramp of slope 0.01 is 8 * 0.01 inside and half of it at the replicated border columns.
    gradient = (14 * 0.08 + 2 * 0.04) / 16
    content = ramp.mean()
    expected = content + 10.0 * gradient
    assert EdgeLoss(gamma=10.0)(torch.zeros(1, 1, 16, 16), sources).item() == pytest.approx(expected.item(), rel=1e-5)


def test_edge_loss_is_zero_for_the_only_source_and_does_not_know_the_order(sources):
    same = sources[:, :1].repeat(1, 2, 1, 1)
    assert EdgeLoss()(sources[:, :1], same).item() == 0.0
    fused = sources.mean(dim=1, keepdim=True)
    assert torch.equal(EdgeLoss()(fused, sources), EdgeLoss()(fused, sources.flip(1)))


def test_structure_loss_is_zero_when_all_images_are_equal(sources):
    same = sources[:, :1].repeat(1, 2, 1, 1)
    assert StructuralSimilarityFusionLoss()(sources[:, :1], same).item() == pytest.approx(0.0, abs=1e-5)


def test_structure_loss_of_constants_is_the_luminance_term():
    fused, a, b = 0.5, 0.2, 0.9
    c1 = 0.01**2
    expected = sum(1 - (2 * fused * x + c1) / (fused**2 + x**2 + c1) for x in (a, b))
    sources = torch.tensor([a, b]).view(1, 2, 1, 1).expand(1, 2, 16, 16)
    loss = StructuralSimilarityFusionLoss()(torch.full((1, 1, 16, 16), fused), sources)
    assert loss.item() == pytest.approx(expected, abs=5e-4)


def test_sparsity_draws_background_to_zero_and_content_to_its_share():
    sources = torch.zeros(1, 2, 20, 20)
    sources[..., :10, :] = 0.5
    loss = MaskSparsityLoss(target_share=0.6, margin=0)
    masks = torch.zeros(1, 2, 20, 20)
    masks[..., :6, :] = 1.0
    assert loss(masks, sources).item() == pytest.approx(0.0, abs=1e-6)
    masks[..., 15:, :] = 1.0
    assert loss(masks, sources).item() == pytest.approx(0.25, abs=1e-6)
    assert loss(torch.zeros_like(masks), sources).item() == pytest.approx(0.6, abs=1e-6)


def test_sparsity_margin_reaches_beyond_the_content():
    sources = torch.zeros(1, 2, 21, 21)
    sources[..., 10, 10] = 1.0
    masks = torch.zeros(1, 2, 21, 21)
    masks[..., 8:13, 8:13] = 1.0
    assert MaskSparsityLoss(target_share=1.0, margin=2)(masks, sources).item() == pytest.approx(0.0, abs=1e-6)
    outside = MaskSparsityLoss(target_share=1.0, margin=1)(masks, sources)
    assert outside.item() == pytest.approx((25 - 9) / 441, abs=1e-6)


def test_sparsity_of_an_empty_source_only_asks_for_an_empty_mask():
    loss = MaskSparsityLoss()
    empty = torch.zeros(1, 2, 12, 12)
    assert loss(empty, empty).item() == 0.0
    assert loss(torch.ones_like(empty), empty).item() == pytest.approx(1.0)


def test_total_is_the_weighted_sum_of_its_named_parts(sources):
    class Two(torch.nn.Module):
        def forward(self, fused, sources):
            return fused.new_tensor(2.0)

    loss = GeSeNetLoss(alpha=0.5, beta=0.3, semantic=Two(), quality=Two(), quality_weight=0.1)
    fused = sources.mean(dim=1, keepdim=True)
    total = loss(fused, sources)
    edge = EdgeLoss(10.0)(fused, sources)
    structure = StructuralSimilarityFusionLoss()(fused, sources)
    assert total.item() == pytest.approx((edge + 0.5 * structure).item() + 0.3 * 2 + 0.1 * 2, rel=1e-5)
    assert loss.parts["L_E"] == pytest.approx(edge.item())
    assert loss.parts["L_total"] == pytest.approx(total.item())
    assert set(loss.parts) == {"L_E", "L_SSIM", "L_S", "L_quality", "L_total"}


def test_a_weight_of_zero_leaves_a_part_out(sources):
    loss = GeSeNetLoss(edge=0.0, alpha=0.5)
    loss(sources[:, :1], sources)
    assert set(loss.parts) == {"L_SSIM", "L_total"}


def test_the_sparsity_term_needs_masks(sources):
    loss = GeSeNetLoss(sparsity=MaskSparsityLoss())
    with pytest.raises(ValueError, match="3 channels, got 1"):
        loss(sources[:, :1], sources)


def test_sparsity_share_must_be_a_share():
    with pytest.raises(ValueError, match=r"1\.5"):
        MaskSparsityLoss(target_share=1.5)
