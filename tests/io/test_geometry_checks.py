"""What passes as one grid, and how one is moved onto another; bad ones are in tests/robustness/bad_volumes.py."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from shared_networks.errors import InputError
from shared_networks.io.geometry_checks import check_affine, check_same_grid, placed_like, resample_onto
from shared_networks.io.reading import Source
from tests.robustness.file_maker import changed, turned


def volume(affine, shape=(8, 9, 10), name="mri.nii.gz", values=None):
    values = np.random.default_rng(0).random(shape).astype(np.float32) if values is None else values
    return Source(Path(name), values, affine=np.array(affine, dtype=np.float64), normalised=True)


BASE = np.diag([1.0, 1.0, 2.0, 1.0])


def test_good_affines_pass():
    for affine in (BASE, turned(5, BASE), np.diag([-0.9, -0.9, 6.5, 1])):
        check_affine(volume(affine))
    check_affine(Source(Path("a.png"), np.ones((2, 2)), normalised=True))


def test_rounding_of_headers_passes():
    check_same_grid(volume(turned(5, BASE)), volume(turned(5, BASE).astype(np.float32), name="b"))
    check_same_grid(volume(BASE), volume(BASE + 1e-4, name="b"))


def test_pictures_and_volumes_do_not_mix():
    picture = Source(Path("a.png"), np.ones((8, 9), np.float32), normalised=True)
    for call in (check_same_grid, resample_onto):
        with pytest.raises(InputError, match="one is a volume, the other a picture"):
            call(volume(BASE), picture)
    with pytest.raises(InputError, match="8 x 9 against 8 x 8"):
        check_same_grid(picture, Source(Path("b.png"), np.ones((8, 8)), normalised=True))


def test_resampling_agrees_with_scipy():
    other_affine = turned(5, np.diag([2.0, 1.5, 1.0, 1.0]))
    other_affine[:3, 3] = [1.0, -2.0, 0.5]
    other = volume(other_affine, (12, 14, 16), "pet.nii.gz")
    moved = resample_onto(volume(BASE), other)
    matrix = np.linalg.inv(other_affine) @ BASE
    expected = affine_transform(
        other.values.astype(np.float64), matrix[:3, :3], matrix[:3, 3], (8, 9, 10), order=1, mode="grid-constant"
    )
    assert np.abs(moved.values - expected).max() < 1e-5
    assert (expected == 0).any() and np.array_equal(moved.affine, BASE)
    assert "resampled onto the grid of mri.nii.gz" in moved.warnings[0]


def test_resampling_leaves_a_common_grid_alone():
    other = volume(BASE, name="ct.nii.gz")
    assert resample_onto(volume(BASE), other) is other


def test_resampled_colour_is_neutral_outside():
    other = volume(changed((0, 3), 4.0, BASE), name="pet.nii.gz", values=np.ones((8, 9, 10), np.float32))
    other.chroma = np.full((2, 8, 9, 10), 200.0, np.float32)
    moved = resample_onto(volume(BASE), other)
    assert np.allclose(moved.chroma[:, :4], 128.0) and np.allclose(moved.chroma[:, 4:], 200.0)
    assert np.allclose(moved.values[:4], 0.0) and np.allclose(moved.values[4:], 1.0)


def test_volumes_without_overlap_are_refused():
    with pytest.raises(InputError, match="do not overlap"):
        resample_onto(volume(BASE), volume(changed((0, 3), 500.0, BASE), name="ct.nii.gz"))


def test_picture_is_resized():
    mri = Source(Path("mri.png"), np.zeros((8, 6), np.float32), normalised=True)
    ramp = np.tile(np.linspace(0, 1, 24, dtype=np.float32), (32, 1))
    moved = resample_onto(mri, Source(Path("pet.png"), ramp, normalised=True))
    assert moved.values.shape == (8, 6)
    expected = np.linspace(0, 1, 24).reshape(6, 4).mean(axis=1)
    assert np.allclose(moved.values[:, 1:-1], expected[1:-1], atol=1e-5)
    assert np.allclose(moved.values[:, [0, -1]], expected[[0, -1]], atol=0.02)


FAR = changed((0, 3), 500.0, BASE)


@pytest.mark.parametrize(
    ("affine", "shape", "ways"),
    [
        (
            changed((0, 3), 2.0, BASE),
            (8, 9, 10),
            ["--align True registers", "--resample True goes by the headers alone"],
        ),
        (FAR, (8, 9, 10), ["--align True registers"]),
        (changed((0, 3), 2.0, BASE), (8, 9, 2), ["--resample True goes by the headers alone"]),
        (FAR, (8, 9, 2), []),
        (np.eye(4), (8, 9, 10), ["--resample True"]),  # no place: taken as lying voxel on voxel
    ],
)
def test_a_refusal_names_the_ways_that_help(affine, shape, ways):
    mri, other = volume(BASE), volume(affine, shape, name="b")
    with pytest.raises(InputError) as caught:
        check_same_grid(mri, other)
    named = [
        way
        for way in ("--align True registers", "--resample True goes by the headers alone")
        if way in str(caught.value)
    ]
    assert named == [way for way in ways if way != "--resample True"]
    assert ("--resample True" in str(caught.value)) == any("--resample True" in way for way in ways)
    if "--resample True" in str(caught.value):
        moved = resample_onto(mri, placed_like(mri, other, assumed=True))
        assert moved.values.shape == mri.values.shape and moved.values.any()


@pytest.mark.parametrize("nameless", [np.eye(4), np.diag([-1.0, -1, 1, 1])])
def test_a_colour_volume_without_place_lies_on_the_mri(nameless):
    mri, grey = volume(FAR), volume(nameless, name="pet.nii")
    colour = replace(grey, chroma=np.full((2, *grey.values.shape), 90.0))
    placed = placed_like(mri, colour)
    assert np.array_equal(placed.affine, FAR) and np.array_equal(placed.values, colour.values)
    remark = "pet.nii: its header names no place (voxels of 1 mm at the origin); pet.nii was taken to lie on mri.nii.gz"
    assert placed.warnings == [f"{remark} voxel by voxel"]
    assert placed_like(mri, grey) is grey and np.array_equal(placed_like(mri, grey, assumed=True).affine, FAR)
    for first, second in ((volume(BASE), volume(FAR, name="b")), (volume(nameless), volume(nameless, name="b"))):
        assert placed_like(first, second, assumed=True) is second
    assert placed_like(volume(FAR, (8, 9, 11)), colour) is colour
