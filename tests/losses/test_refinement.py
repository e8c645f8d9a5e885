"""Eq. 3-5 in closed form, and what belongs to what in the stacked batch."""

import pytest
import torch

from shared_networks.losses import RefinementDistance, TwoLevelRefinementLoss
from shared_networks.losses.refinement import residual_variation

SHAPE = (12, 12, 12)


def constants(*values):
    """Volumes of one value each, one channel a value: 1 x len(values) x SHAPE."""
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1, 1).expand(1, -1, *SHAPE).clone()


def plain_loss(**kwargs):
    """Without SSIM, where constants have closed forms."""
    return TwoLevelRefinementLoss(image_distance=RefinementDistance(similarity=0.0), **kwargs)


def test_variation_of_a_ramp_is_the_sum_of_the_squared_slopes():
    x, y, z = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in (5, 6, 7)], indexing="ij")
    ramp = (2 * x - 3 * y + 0.5 * z)[None, None]
    assert residual_variation(ramp).item() == pytest.approx(4 + 9 + 0.25)
    assert residual_variation(ramp[:, :, :, :1]).item() == pytest.approx(4 + 0.25)
    assert residual_variation(ramp[:, :, :1, :1, :1]).item() == 0.0


def test_distance_has_the_weights_of_the_paper():
    target = constants(0.5)
    ramp = 0.01 * torch.arange(12, dtype=torch.float64).view(1, 1, 12, 1, 1).expand(1, 1, *SHAPE)
    squares = (ramp**2).mean().item()
    without = RefinementDistance(similarity=0.0)(target + ramp, target).item()
    assert without == pytest.approx(40 * squares + 20 * 0.01**2)
    similarity = RefinementDistance(mse=0, variation=0)(target + ramp, target).item()
    assert 0 < similarity < 1
    assert RefinementDistance()(target + ramp, target).item() == pytest.approx(without + similarity)


def test_both_levels_of_constants():
    target = constants(0.2, 0.6)
    clean = torch.cat([target + 0.1, constants(1.0, 2.0)], dim=1)
    degraded = torch.cat([target + 0.3, constants(1.5, 2.0)], dim=1)
    loss = plain_loss(alpha=2.0)
    total = loss(torch.cat([clean, degraded]), target)
    expected = {"L_IR_clean": 40 * 0.01, "L_IR_degraded": 40 * 0.09, "L_IR": 4.0, "L_FR": 40 * 0.125, "L_TR": 14.0}
    assert loss.parts == pytest.approx(expected) and total.item() == pytest.approx(14.0)


def test_negatives_are_averaged_or_added():
    target = constants(0.2, 0.6)
    parts = [torch.cat([target + error, constants(error, 0.0)], dim=1) for error in (0.0, 0.1, 0.2, 0.3)]
    loss, summed = plain_loss(), plain_loss(negative_weight=3.0)
    mean = 40 * (0.01 + 0.04 + 0.09) / 3
    assert loss(torch.cat(parts), target).item() == pytest.approx(mean + mean / 2)
    assert summed(torch.cat(parts), target).item() == pytest.approx(3 * (mean + mean / 2))


def test_every_image_meets_its_own_negatives():
    # Two cases of different content with perfect reconstructions: any mix-up would cost.
    target = torch.cat([constants(0.2, 0.6), constants(0.9, 0.1)])
    features = torch.cat([constants(1.0, 2.0), constants(-1.0, 5.0)])
    prediction = torch.cat([target, features], dim=1).repeat(4, 1, 1, 1, 1)
    assert TwoLevelRefinementLoss()(prediction, target).item() == pytest.approx(0.0, abs=1e-9)
    swapped = prediction.clone()
    swapped[2:4] = prediction[[3, 2]]
    assert TwoLevelRefinementLoss()(swapped, target).item() > 1.0


@pytest.mark.parametrize("detach", [False, True])
def test_detached_target_gets_no_gradient(detach):
    target = constants(0.2, 0.6)
    prediction = torch.cat([torch.cat([target, constants(f, 0.0)], dim=1) for f in (1.0, 2.0)]).requires_grad_()
    plain_loss(detach_target=detach)(prediction, target).backward()
    assert bool(prediction.grad[0, 2].any()) is not detach
    assert prediction.grad[1, 2].sum().item() == pytest.approx(40 * 2 * 1.0 / 2)


def test_features_are_not_needed_without_their_level():
    target = constants(0.2, 0.6)
    loss = plain_loss(alpha=0.0)
    assert loss(torch.cat([target, target + 0.1]), target).item() == pytest.approx(0.4)
    assert "L_FR" not in loss.parts


def test_similarity_on_features_is_an_option():
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 2, *SHAPE, generator=generator)
    prediction = torch.rand(2, 6, *SHAPE, generator=generator)
    plain, to_the_letter = TwoLevelRefinementLoss(), TwoLevelRefinementLoss(feature_distance=RefinementDistance())
    plain(prediction, target)
    to_the_letter(prediction, target)
    assert to_the_letter.parts["L_IR"] == pytest.approx(plain.parts["L_IR"])
    assert 0.5 < to_the_letter.parts["L_FR"] - plain.parts["L_FR"] < 1.5


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 4, 12, 12, 12), "at least one degraded"),
        ((3, 4, 12, 12, 12), "at least one degraded"),
        ((4, 4, 12, 12, 11), "at least one degraded"),
        ((4, 2, 12, 12, 12), "needs features behind the images: got 2 channels"),
    ],
)
def test_predictions_that_do_not_belong_to_the_target(shape, message):
    with pytest.raises(ValueError, match=message):
        TwoLevelRefinementLoss()(torch.zeros(shape), torch.zeros(2, 2, *SHAPE))
