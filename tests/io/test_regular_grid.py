"""Sheared volumes on a regular grid, and what refuses them otherwise."""

import json
from pathlib import Path

import numpy as np
import pytest

from shared_networks.clinical import PreparePair
from shared_networks.errors import InputError
from shared_networks.io.geometry_checks import check_affine
from shared_networks.io.regular_grid import is_sheared, moved_onto, on_regular_grid, regular_grid
from shared_networks.io.source import Source
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd

SHAPE = (30, 34, 12)
TILT = np.deg2rad(18)
TILTED = np.array([[-1.0, 0, 0, 20], [0, -1, 3 * np.tan(TILT), 10], [0, 0, 3, -5], [0, 0, 0, 1]])
"""A gantry tilted by 18 degrees: slices 3 mm apart, each shifted in its plane."""


def turned(affine, axes=(0, 2), degrees=25):
    angle, turn = np.deg2rad(degrees), np.eye(4)
    turn[np.ix_(axes, axes)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ affine


def ramp(affine, shape=SHAPE):
    """A linear function of the place in space, which linear interpolation keeps exactly."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    return (1000 + places @ [3.0, -2.0, 5.0]).astype(np.float32)


def source(values, affine, name="t1.nii.gz"):
    return Source(Path(name), values, affine=np.array(affine))


@pytest.mark.parametrize("affine", [TILTED, turned(TILTED), turned(TILTED)[:, [2, 0, 1, 3]]])
def test_a_linear_volume_stays_what_it_is(affine):
    given = source(ramp(affine), affine)
    moved = on_regular_grid(given)
    assert not is_sheared(moved.affine) and is_sheared(affine)
    check_affine(moved)
    expected = ramp(moved.affine, moved.values.shape)
    reached = np.abs(moved.values - expected) < 0.05
    # What the sheared volume covers is there, up to a voxel at its surface.
    assert reached.sum() > 0.8 * given.values.size * abs(np.linalg.det(affine[:3, :3])) / abs(
        np.linalg.det(moved.affine[:3, :3])
    )
    assert "resampled onto a regular grid" in moved.warnings[0]


def test_the_grid_covers_the_volume_and_keeps_the_slices():
    grid, shape = regular_grid(TILTED, SHAPE)
    assert np.allclose(grid[:3, :2], TILTED[:3, :2])
    assert np.allclose(grid[:3, 2], [0, 0, 3]) and shape[2] == SHAPE[2] and shape[0] == SHAPE[0]
    assert shape[1] == pytest.approx(SHAPE[1] + 11 * 3 * np.tan(TILT), abs=2)
    corners = np.array([[*(np.array(SHAPE) - 1) * corner, 1] for corner in np.ndindex(2, 2, 2)])
    places = corners @ (np.linalg.inv(grid) @ TILTED).T
    assert places[:, :3].min() > -1e-2 and (places[:, :3] < np.array(shape) - 1 + 1e-2).all()


def test_volumes_at_right_angles_stay():
    for affine in (np.diag([-1.0, 1, 3, 1]), turned(np.diag([1.0, 1, 3, 1]))):
        given = source(np.ones(SHAPE), affine)
        assert on_regular_grid(given) is given
    assert on_regular_grid(Source(Path("a.png"), np.ones((4, 4)))).affine is None


def test_a_stripped_volume_gets_no_rim():
    values = np.zeros(SHAPE, np.float32)
    values[8:20, 8:20, 3:9] = 500
    moved = moved_onto(source(values, TILTED), *regular_grid(TILTED, SHAPE))
    assert set(np.unique(moved.values)) <= {0.0} | set(np.unique(moved.values[moved.values >= 250]))
    assert (moved.values > 0).sum() == pytest.approx((values > 0).sum(), rel=0.1)


@pytest.fixture
def pair(write_volume):
    def write(affine, other=None):
        values = np.zeros((2, *SHAPE), np.int16)
        values[:, 6:22, 6:22, 2:10] = np.random.default_rng(0).integers(400, 900, (2, 16, 16, 8))
        affines = [affine, affine if other is None else other]
        names = ("a_t1.nii.gz", "a_flair.nii.gz")
        return [str(write_volume(*one)) for one in zip(names, values, affines, strict=True)]

    return write


@pytest.mark.parametrize("loader", [LoadModalitiesd, LoadFusionPaird])
@pytest.mark.parametrize("which", ["both", "first", "second"])
def test_the_remedy_that_the_refusal_names_works(pair, loader, which):
    regular = np.diag([-1.0, -1, 3, 1]) + np.array([[0, 0, 0, 20], [0, 0, 0, 10], [0, 0, 0, -5], [0] * 4])
    paths = pair(regular if which == "second" else TILTED, regular if which == "first" else TILTED)
    with pytest.raises(InputError, match=r"the affine is sheared.*--resample True"):
        loader()({"image": paths})
    loaded = loader(resample=True)({"image": paths})
    assert not is_sheared(loaded["image"].affine.numpy()) and "resampled onto a regular grid" in loaded["warning"]
    first, second = loaded["image"].numpy() > 0.05
    if which == "both":
        assert (first & second).sum() > 0.9 * first.sum()
    with pytest.raises(InputError, match=r"so that no DICOM output can be made of it|no DICOM series"):
        loader(resample=True, prepare=PreparePair(dicom_output=True))({"image": paths})


def test_one_modality_alone(pair):
    paths = pair(TILTED)
    with pytest.raises(InputError, match="the affine is sheared"):
        LoadModalitiesd(allow_missing=True)({"image": [paths[0], ""]})
    loaded = LoadModalitiesd(allow_missing=True, resample=True)({"image": [paths[0], ""]})
    assert not is_sheared(loaded["image"].affine.numpy())


def test_a_tilted_scan_is_registered(data_dir, write_volume):
    """A real T1 and its copy sampled with a tilt of 12 degrees: registration takes it, and finds that nothing moved."""
    import nibabel as nib

    image = nib.load(data_dir / "brain" / "mahdi_ms5-105074" / "t1.nii.gz")
    values, affine = image.get_fdata(dtype=np.float32), image.affine
    sheared = affine.copy()
    sheared[:3, 2] += (
        np.tan(np.deg2rad(12)) * affine[:3, 1] / np.linalg.norm(affine[:3, 1]) * np.linalg.norm(affine[:3, 2])
    )
    tilted = moved_onto(source(values, affine), sheared, values.shape)
    paths = [
        str(write_volume("a_t1.nii.gz", values, affine)),
        str(write_volume("a_flair.nii.gz", tilted.values, sheared)),
    ]
    loaded = LoadModalitiesd(prepare=PreparePair(align=True), brain_checks=False)({"image": paths})
    first, second = loaded["image"].numpy()
    both = (first > 0) & (second > 0)
    assert both.sum() > 0.9 * (second > 0).sum()
    assert np.corrcoef(first[both], second[both])[0, 1] > 0.95
    found = json.loads(loaded["image"].meta["preparation"])["registration"]
    assert found["angle_degrees"] < 1 and np.abs(found["translation_mm"]).max() < 1
