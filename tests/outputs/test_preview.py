"""The small version of a case: geometry, values, labels and size."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from shared_networks.outputs.preview import make_preview

NAMES = {0: "background", 1: "CSF", 2: "GM", 3: "WM", 4: "WML"}
# RAS at 1 mm, and a grid in another order and direction.
AFFINES = {
    "ras": np.diag([1.0, 1, 1, 1]),
    "psl": np.array([[0, 0, -1, 80], [-1.0, 0, 0, 90], [0, 1, 0, 0], [0, 0, 0, 1]]),
}


def decode(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("L"))


def volume_of(sheet, slices):
    """X x Y x Z out of a mosaic, as the viewer reads it."""
    x, y, z = (slices[axis] for axis in "XYZ")
    columns = sheet.shape[1] // y
    tiles = [
        sheet[n // columns * z : (n // columns + 1) * z, n % columns * y : (n % columns + 1) * y] for n in range(x)
    ]
    return np.stack([tile[::-1].T for tile in tiles])


def in_world(affine, shape):
    """World coordinates of every voxel."""
    return np.einsum("ij,jxyz->ixyz", affine[:3, :3], np.indices(shape)) + affine[:3, 3, None, None, None]


@pytest.mark.parametrize("name", AFFINES)
def test_axes_run_to_left_front_and_top(name):
    affine = AFFINES[name]
    shape = (40, 50, 60)
    x, y, z = in_world(affine, shape)
    low, high = ([axis.min() for axis in (x, y, z)], [axis.max() for axis in (x, y, z)])
    ramps = {
        word: 0.1 + 0.9 * (axis - least) / (most - least)
        for word, axis, least, most in zip("xyz", (x, y, z), low, high, strict=True)
    }
    preview = make_preview(ramps, np.ones(shape), affine, NAMES)
    sizes = [most - least + 1 for least, most in zip(low, high, strict=True)]
    assert [preview["slices"][axis] for axis in "XYZ"] == [round(size / 2) for size in sizes]
    for word, axis, sign in (("x", 0, -1), ("y", 1, 1), ("z", 2, 1)):
        volume = volume_of(decode(preview["images"][word]), preview["slices"]).astype(float)
        profile = volume.mean(axis=tuple({0, 1, 2} - {axis}))[::sign]
        expected = np.linspace(0.1, 1.0, 2 * len(profile)).reshape(-1, 2).mean(1) * 255
        assert np.abs(profile - expected).max() < 6  # of 255; the pictures are compressed


def test_a_lesion_of_one_voxel_stays_visible_in_its_place():
    label = np.full((40, 40, 40), 3)
    label[30, 10, 20] = 4
    preview = make_preview({"fused": np.full((40, 40, 40), 0.5)}, label, np.eye(4), NAMES)
    volume = volume_of(decode(preview["labels"]), preview["slices"])
    # The first axis runs to the left: 39 - 30 = 9.
    assert np.argwhere(volume == 4).tolist() == [[4, 5, 10]] == [preview["start"]]
    assert np.count_nonzero(volume == 3) == 20**3 - 1
    assert [one["name"] for one in preview["classes"]] == ["CSF", "GM", "WM", "WML"]
    assert preview["classes"][-1]["colour"] == "#ff0000"


def test_between_two_classes_is_no_third_one():
    label = np.where(np.indices((40, 12, 14))[0] < 21, 1, 3)
    preview = make_preview({"fused": np.full(label.shape, 0.5)}, label, np.eye(4), NAMES)
    assert np.unique(volume_of(decode(preview["labels"]), preview["slices"])).tolist() == [1, 3]


def test_it_is_cut_to_the_brain_and_stays_small():
    image = np.zeros((200, 200, 200), np.float32)
    ramp = np.linspace(0.2, 0.8, 160)
    image[20:180, 20:180, 20:180] = ramp + np.random.default_rng(0).normal(0, 0.1, (160, 160, 160))
    preview = make_preview(dict.fromkeys("abc", image), (image > 0.5).astype(int), np.eye(4), NAMES)
    assert set(preview["slices"].values()) == {81}  # 162 mm with a voxel around
    assert sum(map(len, preview["images"].values())) <= 200_000
    assert max(decode(preview["thumbnail"]).shape) == 96


def test_an_empty_volume_and_one_slice():
    assert make_preview({"a": np.zeros((5, 6, 7))}, np.zeros((5, 6, 7)), np.eye(4), NAMES)["slices"] == {
        "X": 2,
        "Y": 3,
        "Z": 4,
    }
    assert make_preview({"a": np.ones((9, 6, 1))}, np.ones((9, 6, 1)), np.eye(4), NAMES)["slices"]["Z"] == 1
