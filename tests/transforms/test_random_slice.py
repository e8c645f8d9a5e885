import numpy as np
import pytest
import torch

from shared_networks.transforms import RandSliced, TakeSliced


def test_a_picture_stays_as_it_is():
    image = torch.rand(2, 5, 6)
    assert RandSliced("image")({"image": image})["image"] is image


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_drawn_by_their_contents(axis):
    volume = torch.zeros(2, 4, 4, 4)
    occupied = volume.movedim(1 + axis, 0)
    occupied[1, 0, :, :1] = 1.0
    occupied[2, 1, :, :3] = 2.0
    drawn = RandSliced("image", axis).set_random_state(0)
    slices = [drawn({"image": volume})["image"] for _ in range(200)]
    assert all(image.shape == (2, 4, 4) for image in slices)
    assert all(torch.equal(image, occupied[1]) or torch.equal(image, occupied[2]) for image in slices)
    share = np.mean([torch.equal(image, occupied[2]) for image in slices])
    # 12 of 16 occupied pixels; four standard deviations of the mean of 200 draws.
    assert abs(share - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 200)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_taken_whole(axis):
    picture = torch.rand(2, 4, 5)
    for transform in (RandSliced("image").set_random_state(0), TakeSliced("image")):
        assert torch.equal(transform({"image": picture.unsqueeze(1 + axis)})["image"], picture)


def test_images_of_one_item_give_the_same_slice_and_an_empty_volume_gives_one():
    volume = torch.zeros(1, 3, 3, 9) + torch.arange(9)
    d = RandSliced(["a", "b"]).set_random_state(1)({"a": volume, "b": volume + 10})
    assert torch.equal(d["a"] + 10, d["b"])
    assert RandSliced("a")({"a": torch.zeros(1, 3, 3, 9)})["a"].shape == (1, 3, 3)


def test_axis_is_checked():
    with pytest.raises(ValueError, match="spatial_axis must be 0, 1 or 2"):
        RandSliced("image", 3)


def test_the_slice_at_a_share_of_the_contents():
    volume = torch.zeros(2, 4, 4, 5)
    for index, rows in enumerate((0, 1, 3, 0, 4)):  # 0, 4, 12, 0 and 16 occupied pixels
        volume[1, :rows, :, index] = index
    taken = {
        share: TakeSliced("image")({"image": volume, "slice_share": share})["image"] for share in (0.1, 0.4, 0.8, 1.0)
    }
    assert [int(image.max()) for image in taken.values()] == [1, 2, 4, 4]
    assert torch.equal(TakeSliced("image")({"image": volume})["image"], volume[..., 2])
    picture = torch.rand(2, 4, 5)
    assert TakeSliced("image")({"image": picture})["image"] is picture
    assert TakeSliced("image", 1)({"image": torch.zeros(2, 3, 4, 5)})["image"].shape == (2, 3, 5)
    with pytest.raises(ValueError, match="spatial_axis must be 0, 1 or 2"):
        TakeSliced("image", 3)
