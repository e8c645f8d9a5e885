"""Merged slices: their mean, their place in space, and when nothing is done."""

import pytest
import torch
from monai.data import MetaTensor

from shared_networks.transforms import RandThickSlicesd

KEYS = ["image", "label", "brain"]


def item(slices, thickness):
    affine = torch.diag(torch.tensor([1.0, 1.0, thickness, 1.0], dtype=torch.float64))
    ramp = torch.arange(float(slices)).expand(2, 4, 5, slices).clone()
    volumes = {"image": MetaTensor(ramp, affine=affine), "label": MetaTensor(ramp[:1].byte(), affine=affine)}
    return volumes | {"brain": volumes["label"].clone()}


def transform(prob=1.0, seed=0, **kwargs):
    result = RandThickSlicesd(KEYS, prob=prob, **kwargs)
    return result.set_random_state(seed)


def test_merged_slices_are_means_and_stay_in_place():
    result = transform(thickest=5.0, fewest=20, seed=3)(item(100, 1.0))
    image, label = result["image"], result["label"]
    count = image.shape[-1]
    assert 20 <= count < 30 and label.shape == (1, 4, 5, count)
    assert torch.equal(image.affine, label.affine)
    # A ramp in z keeps its value at every position in space: value = z position in the old grid.
    position = image.affine[2, 3] + image.affine[2, 2] * torch.arange(count)
    assert (image[0, 0, 0].as_tensor() - position).abs().max() < 1.0
    assert image.mean().item() == pytest.approx(49.5, abs=0.3)
    assert image.affine[2, 2].item() == pytest.approx(100 / count, rel=0.03)
    # A label is that of the slice in the middle of the merged ones.
    assert (label[0] - image[0]).abs().max() <= 1.0 and (label % 1 == 0).all()
    assert torch.equal(result["brain"], label)


def test_thickness_and_number_of_slices_have_their_limits():
    counts = [transform(seed=seed, thickest=4.0)(item(64, 1.0))["image"].shape[-1] for seed in range(30)]
    assert min(counts) >= 16 and min(counts) < 24 and max(counts) > 45
    assert all(transform(seed=seed)(item(40, 2.0))["image"].shape[-1] >= 16 for seed in range(10))


@pytest.mark.parametrize(("slices", "thickness", "prob"), [(100, 1.0, 0.0), (12, 1.0, 1.0), (40, 9.0, 1.0)])
def test_volumes_that_are_left_alone(slices, thickness, prob):
    data = item(slices, thickness)
    result = transform(prob=prob)(data)
    assert result["image"] is data["image"] and result["label"] is data["label"]


def test_every_key_needs_its_mode():
    with pytest.raises(ValueError, match="one mode for each"):
        RandThickSlicesd(KEYS[:2])
