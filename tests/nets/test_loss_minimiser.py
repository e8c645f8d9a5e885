import torch

from shared_networks.losses import VisualFusionLoss
from shared_networks.nets import FusionLossMinimiser


def test_sources_without_edges_give_the_second_one():
    image = torch.stack([torch.full((6, 5, 4), 0.2), torch.full((6, 5, 4), 0.7)])[None]
    assert torch.allclose(FusionLossMinimiser(VisualFusionLoss())(image), image[:, 1:], atol=0.02)


def test_it_is_better_than_both_sources_average_and_maximum():
    image = torch.nn.functional.avg_pool3d(
        torch.rand(1, 2, 16, 16, 12, generator=torch.Generator().manual_seed(0)), 3, 1
    )
    loss = VisualFusionLoss()
    with torch.no_grad():
        fused = FusionLossMinimiser(VisualFusionLoss())(image)
        rivals = [image[:, :1], image[:, 1:], image.mean(1, keepdim=True), image.amax(1, keepdim=True)]
        assert float(loss(fused, image)) < 0.85 * min(float(loss(rival, image)) for rival in rivals)
    assert not fused.requires_grad
    assert 0 <= fused.min() <= fused.max() <= 1
