import math

import pytest
import torch
from monai.losses import GlobalMutualInformationLoss

from shared_networks.metrics import compute_mutual_information, compute_soft_mutual_information


def test_equals_the_loss_of_monai(triplet):
    fused, a, b = triplet
    loss = GlobalMutualInformationLoss("gaussian", num_bins=32, reduction="none", smooth_nr=1e-15, smooth_dr=1e-15)
    expected = -(loss(fused / 255, a / 255) + loss(fused / 255, b / 255)) / math.log(2)
    assert torch.allclose(compute_soft_mutual_information(fused, a, b), expected, atol=1e-6)


def test_widely_spaced_levels_give_the_hard_value():
    # Levels on every fourth of 32 bin centres hardly leak into other bins.
    steps = torch.tensor([0.0, 4, 12, 20, 28], dtype=torch.float64) * 255 / 31
    generator = torch.Generator().manual_seed(0)
    a, b = (steps[torch.randint(5, (1, 1, 24, 24), generator=generator)] for _ in range(2))
    fused = torch.maximum(a, b)
    hard = compute_mutual_information(fused, a, b)
    assert compute_soft_mutual_information(fused, a, b).item() == pytest.approx(hard.item(), rel=0.01)


def test_gradient_ascent_raises_the_information(triplet):
    fused, a, b = (image[:1].float() for image in triplet)
    moved = (0.5 * fused + 20).requires_grad_()
    before = compute_soft_mutual_information(moved, a, b)
    (gradient,) = torch.autograd.grad(before.sum(), moved)
    after = compute_soft_mutual_information(moved + 0.5 * gradient.sign(), a, b)
    assert after.item() > before.item() + 1e-3


def test_fewer_than_two_bins_are_refused(triplet):
    with pytest.raises(ValueError, match="bins"):
        compute_soft_mutual_information(*triplet, bins=1)
