"""Channels are altered one by one, within the mask and the range."""

import torch
from monai.transforms import RandAdjustContrast, RandScaleIntensity

from shared_networks.transforms import RandEachChanneld


def test_channels_are_drawn_by_themselves_and_the_state_decides():
    item = {"image": torch.full((2, 4, 4, 4), 0.25), "brain": torch.ones(1, 4, 4, 4)}
    item["brain"][:, 0] = 0
    transform = RandEachChanneld("image", [RandScaleIntensity(0.5, prob=1.0)], mask_key="brain")
    transform.set_random_state(seed=0)
    first = transform(item)["image"]
    values = first[:, 1:].flatten(1)
    assert torch.equal(values, values[:, :1].expand_as(values))
    assert values[0, 0] != values[1, 0]
    assert (first[:, 0] == 0).all() and item["image"].eq(0.25).all()
    assert not torch.equal(transform(item)["image"], first)
    transform.set_random_state(seed=0)
    assert torch.equal(transform(item)["image"], first)


def test_values_are_clipped_to_the_range_unless_there_is_none():
    item = {"image": torch.rand(1, 5, 5, 5, generator=torch.Generator().manual_seed(0))}
    brighter = RandScaleIntensity((3.0, 3.0), prob=1.0)
    assert RandEachChanneld("image", [brighter])(item)["image"].max() == 1
    unclipped = RandEachChanneld("image", [brighter], value_range=None)(item)["image"]
    assert torch.allclose(unclipped, 4 * item["image"])


def test_inverted_gamma_keeps_the_range():
    image = torch.rand(2, 6, 6, 6, generator=torch.Generator().manual_seed(1))
    transform = RandEachChanneld("image", [RandAdjustContrast(1.0, (0.7, 1.4), invert_image=True)], value_range=None)
    changed = transform({"image": image})["image"]
    for before, after in zip(image, changed, strict=True):
        assert torch.isclose(before.min(), after.min(), atol=1e-5) and torch.isclose(
            before.max(), after.max(), atol=1e-5
        )
        order = before.flatten().argsort()
        assert (after.flatten()[order].diff() >= -1e-6).all(), "a monotonous change of contrast"
