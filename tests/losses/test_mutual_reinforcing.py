"""Eq. 7-9 in closed form and against scipy."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from shared_networks.errors import InputError
from shared_networks.losses import MutualReinforcingLoss, VisualFusionLoss


@pytest.fixture
def batch():
    """Prediction of 5 classes and the fused volume, and its target."""
    generator = torch.Generator().manual_seed(0)
    shape = (6, 7, 5)
    prediction = torch.randn(2, 6, *shape, generator=generator, dtype=torch.float64)
    image = torch.rand(2, 2, *shape, generator=generator, dtype=torch.float64)
    label = torch.randint(0, 5, (2, 1, *shape), generator=generator)
    return prediction, {"image": image, "label": label}


def scipy_gradient(volume):
    return sum(np.abs(ndimage.sobel(volume, axis=axis, mode="nearest")) for axis in range(3))


def test_visual_loss_agrees_with_scipy(batch):
    prediction, target = batch
    fused, image = prediction[:1, -1:], target["image"][:1]
    f, x, y = (volume.numpy() for volume in (fused[0, 0], image[0, 0], image[0, 1]))
    intensity = np.abs(f - y).mean()
    gradient = np.abs(scipy_gradient(f) - np.maximum(scipy_gradient(x), scipy_gradient(y))).mean()
    loss = VisualFusionLoss(delta=0.08)
    assert loss(fused, image).item() == pytest.approx(intensity + 0.08 * gradient)
    assert loss.parts == pytest.approx({"L_VF_intensity": intensity, "L_VF_gradient": gradient})


def test_visual_loss_of_constants_is_the_distance_to_the_second_modality():
    image = torch.tensor([0.9, 0.4]).view(1, 2, 1, 1, 1).expand(1, 2, 5, 5, 5)
    assert VisualFusionLoss()(torch.full((1, 1, 5, 5, 5), 0.5), image).item() == pytest.approx(0.1, abs=1e-6)


def test_visual_loss_may_ask_for_a_share_of_the_first_modality():
    image = torch.tensor([0.9, 0.4]).view(1, 2, 1, 1, 1).expand(1, 2, 5, 5, 5)
    loss = VisualFusionLoss(intensity=[0.2, 0.85])
    assert loss(torch.full((1, 1, 5, 5, 5), 0.5), image).item() == pytest.approx(0.02, abs=1e-6)


@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0), (-0.1, 1.0)])
def test_visual_loss_refuses_other_weights(weights):
    with pytest.raises(ValueError, match="intensity"):
        VisualFusionLoss(intensity=weights)


def test_segmentation_loss_is_equation_8(batch):
    prediction, target = batch
    probability = np.exp(prediction[:, :5].numpy())
    probability /= probability.sum(axis=1, keepdims=True)
    values = []
    for case, label in zip(probability, target["label"].numpy()[:, 0], strict=True):
        for number in range(5):
            mask = label == number
            values.append(2 * case[number][mask].sum() / (case[number].sum() + mask.sum()))
    loss = MutualReinforcingLoss()
    loss(prediction, target)
    assert loss.parts["L_LS"] == pytest.approx(1 - np.mean(values), abs=1e-6)


def test_parts_add_up_with_the_weights_of_the_paper(batch):
    loss = MutualReinforcingLoss()
    total = loss(*batch).item()
    parts = loss.parts
    assert list(parts) == ["L_VF", "L_VF_intensity", "L_VF_gradient", "L_LS", "L_MF"]
    assert parts["L_VF"] == pytest.approx(parts["L_VF_intensity"] + 0.08 * parts["L_VF_gradient"])
    assert parts["L_MF"] == total == pytest.approx(parts["L_VF"] + 0.10 * parts["L_LS"])


def test_released_weights_are_reached_by_the_same_keys(batch):
    loss = MutualReinforcingLoss(visual=12.0, delta=1 / 12, eta=10.0)
    total = loss(*batch).item()
    p = loss.parts
    assert total == pytest.approx(12 * p["L_VF_intensity"] + p["L_VF_gradient"] + 10 * p["L_LS"])


def test_switched_off_terms_ask_for_nothing(batch):
    prediction, target = batch
    fusion_only = MutualReinforcingLoss(eta=0.0)
    value = fusion_only(prediction, {"image": target["image"]}).item()
    assert value == fusion_only.parts["L_VF"] and "L_LS" not in fusion_only.parts
    segmentation_only = MutualReinforcingLoss(visual=0.0)
    leaf = prediction.clone().requires_grad_()
    segmentation_only(leaf, {"label": target["label"]}).backward()
    assert leaf.grad[:, :5].any() and not leaf.grad[:, 5].any()
    with pytest.raises(ValueError, match="nothing is left"):
        MutualReinforcingLoss(visual=0, eta=0)


def test_cross_entropy_is_the_weighted_mean(batch):
    prediction, target = batch
    weights = np.array([0.2, 1.0, 1.0, 1.0, 5.0])
    loss = MutualReinforcingLoss(cross_entropy=0.5, class_weights=weights.tolist())
    total = loss(prediction, target).item()
    logits, label = prediction[:, :5].numpy(), target["label"].numpy()
    log_probability = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    chosen = np.take_along_axis(log_probability, label, axis=1)
    expected = -(weights[label] * chosen).sum() / weights[label].sum()
    assert loss.parts["L_CE"] == pytest.approx(expected)
    assert total == pytest.approx(loss.parts["L_VF"] + 0.1 * loss.parts["L_LS"] + 0.5 * expected)
    assert not loss.state_dict()


def test_batch_dice_takes_the_sums_over_the_batch(batch):
    prediction, target = batch
    together = MutualReinforcingLoss(batch_dice=True)
    together(prediction, target)
    # One long volume holds the same voxels.
    long = MutualReinforcingLoss()
    joined = {key: torch.cat(list(value), dim=1)[None] for key, value in target.items()}
    long(torch.cat(list(prediction), dim=1)[None], joined)
    assert together.parts["L_LS"] == pytest.approx(long.parts["L_LS"].item(), abs=1e-6)


def test_unlabelled_voxels_take_no_part(batch):
    prediction, target = batch
    unknown = torch.zeros_like(target["label"], dtype=torch.bool)
    unknown[..., :2] = True
    loss = MutualReinforcingLoss(visual=0.0, eta=1.0, cross_entropy=1.0, ignore_label=255)
    leaf = prediction.clone().requires_grad_()
    value = loss(leaf, {"label": target["label"].masked_fill(unknown, 255)})
    value.backward()
    assert not leaf.grad[..., :2].any() and leaf.grad[:, :5, ..., 2:].all()
    without = MutualReinforcingLoss(visual=0.0, eta=1.0, cross_entropy=1.0)
    cropped = without(prediction[..., 2:], {"label": target["label"][..., 2:]})
    assert value.item() == pytest.approx(cropped.item())
    nothing = loss(prediction, {"label": torch.full_like(target["label"], 255)})
    assert nothing.isfinite() and loss.parts["L_CE"] == 0


def test_an_auxiliary_class_counts_with_its_class_where_nobody_marked_it(batch):
    prediction, target = batch
    wide = torch.cat([prediction, prediction[:, -1:]], dim=1)  # logits of 5 classes and an auxiliary one, fused volume
    wide[:, 5] = prediction[:, 0] * 0.3
    keys = {"visual": 0.0, "eta": 1.0, "cross_entropy": 1.0, "batch_dice": True}
    loss = MutualReinforcingLoss(**keys, auxiliary_of=3)
    unmarked = loss(wide, {**target, "marked": torch.tensor([False, False])}).item()
    # The same by hand: class 3 has the probability of both.
    merged = prediction.clone()
    merged[:, 3] = torch.logaddexp(wide[:, 3], wide[:, 5])
    plain = MutualReinforcingLoss(**keys)
    plain(merged, target)
    assert loss.parts["L_CE"] == pytest.approx(plain.parts["L_CE"].item())
    # The sixth class is nowhere, neither in the label nor in the prediction: its Dice is 1.
    dice = {name: 1 - one.parts["L_LS"].item() for name, one in (("six", loss), ("five", plain))}
    assert 6 * dice["six"] == pytest.approx(5 * dice["five"] + 1, abs=1e-4)
    marked = loss(wide, {**target, "marked": torch.tensor([True, False])}).item()
    assert marked != pytest.approx(unmarked)
    six = MutualReinforcingLoss(**keys)
    assert loss(wide, {**target, "marked": torch.tensor([True, True])}).item() == pytest.approx(
        six(wide, target).item()
    )


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, "a"], ["nan"]])
def test_class_weights_that_are_none(weights):
    with pytest.raises(InputError, match="class_weights must be"):
        MutualReinforcingLoss(cross_entropy=1.0, class_weights=weights)


def test_class_weights_of_another_count_are_refused():
    loss = MutualReinforcingLoss(visual=0, eta=0, cross_entropy=1.0, class_weights=[1, 2])
    target = {"image": torch.rand(1, 2, 4, 4, 4), "label": torch.zeros(1, 1, 4, 4, 4)}
    with pytest.raises(InputError, match="class_weights has 2 numbers; expected one for each of 3 classes"):
        loss(torch.rand(1, 4, 4, 4, 4), target)
