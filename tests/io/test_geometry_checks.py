"""Grids that differ are told apart, and moved onto each other only when asked."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import affine_transform

from shared_networks.errors import InputError
from shared_networks.io.geometry_checks import check_affine, check_same_grid, resample_onto
from shared_networks.io.reading import Source


def volume(affine, shape=(8, 9, 10), name="mri.nii.gz", values=None):
    values = np.random.default_rng(0).random(shape).astype(np.float32) if values is None else values
    return Source(Path(name), values, affine=np.array(affine, dtype=np.float64), normalised=True)


def changed(row, column, value, base=None):
    matrix = np.diag([1.0, 1.0, 2.0, 1.0]) if base is None else base.copy()
    matrix[row, column] = value
    return matrix


BASE = np.diag([1.0, 1.0, 2.0, 1.0])
ANGLE = np.deg2rad(5)
TURN = np.eye(4)
TURN[:2, :2] = [[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]]


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (changed(0, 0, np.nan), "NaN or infinite"),
        (changed(1, 3, np.inf), "NaN or infinite"),
        (changed(2, 2, 0.0), "singular"),
        (np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "singular"),
        (changed(0, 2, 0.2), "sheared"),
    ],
)
def test_bad_affine_is_refused(affine, message):
    with pytest.raises(InputError, match=rf"^mri\.nii\.gz: .*{message}"):
        check_affine(volume(affine))


def test_good_affines_pass():
    for affine in (BASE, TURN @ BASE, np.diag([-0.9, -0.9, 6.5, 1])):
        check_affine(volume(affine))
    check_affine(Source(Path("a.png"), np.ones((2, 2)), normalised=True))


@pytest.mark.parametrize(
    ("affine", "shape", "message"),
    [
        (BASE, (8, 9, 11), "the sizes differ, 8 x 9 x 10 against 8 x 9 x 11"),
        (np.diag([1.0, 1.0, 3.0, 1.0]), (8, 9, 10), "the spacing differs, 1 x 1 x 2 mm against 1 x 1 x 3 mm"),
        (changed(0, 3, 7.0), (8, 9, 10), "shifted against the other by 7 mm"),
        (changed(0, 0, -1.0), (8, 9, 10), "the orientation differs, RAS against LAS"),
        (BASE[:, [1, 0, 2, 3]], (8, 9, 10), "the orientation differs, RAS against ARS"),
        (TURN @ BASE, (8, 9, 10), "rotated against the other"),
    ],
)
def test_different_grids_are_refused_with_the_fact(affine, shape, message):
    with pytest.raises(InputError) as caught:
        check_same_grid(volume(BASE), volume(affine, shape, "ct.nii.gz"))
    text = str(caught.value)
    assert message in text and "mri.nii.gz" in text and "ct.nii.gz" in text
    assert "--align True registers, --resample True goes by the headers alone" in text and "\n" not in text


def test_rounding_of_headers_passes():
    check_same_grid(volume(TURN @ BASE), volume((TURN @ BASE).astype(np.float32), name="b"))
    check_same_grid(volume(BASE), volume(BASE + 1e-4, name="b"))


def test_pictures_and_volumes_do_not_mix():
    picture = Source(Path("a.png"), np.ones((8, 9), np.float32), normalised=True)
    for call in (check_same_grid, resample_onto):
        with pytest.raises(InputError, match="one is a volume, the other a picture"):
            call(volume(BASE), picture)
    with pytest.raises(InputError, match="8 x 9 against 8 x 8"):
        check_same_grid(picture, Source(Path("b.png"), np.ones((8, 8)), normalised=True))


def test_resampling_agrees_with_scipy():
    other_affine = TURN @ np.diag([2.0, 1.5, 1.0, 1.0])
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
    other = volume(changed(0, 3, 4.0), name="pet.nii.gz", values=np.ones((8, 9, 10), np.float32))
    other.chroma = np.full((2, 8, 9, 10), 200.0, np.float32)
    moved = resample_onto(volume(BASE), other)
    assert np.allclose(moved.chroma[:, :4], 128.0) and np.allclose(moved.chroma[:, 4:], 200.0)
    assert np.allclose(moved.values[:4], 0.0) and np.allclose(moved.values[4:], 1.0)


def test_volumes_without_overlap_are_refused():
    with pytest.raises(InputError, match="do not overlap"):
        resample_onto(volume(BASE), volume(changed(0, 3, 500.0), name="ct.nii.gz"))


def test_picture_is_resized():
    mri = Source(Path("mri.png"), np.zeros((8, 6), np.float32), normalised=True)
    ramp = np.tile(np.linspace(0, 1, 24, dtype=np.float32), (32, 1))
    moved = resample_onto(mri, Source(Path("pet.png"), ramp, normalised=True))
    assert moved.values.shape == (8, 6)
    expected = np.linspace(0, 1, 24).reshape(6, 4).mean(axis=1)
    assert np.allclose(moved.values[:, 1:-1], expected[1:-1], atol=1e-5)
    assert np.allclose(moved.values[:, [0, -1]], expected[[0, -1]], atol=0.02)
