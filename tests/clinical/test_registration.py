"""Registration by known rigid motions of the sample pair, and what shows that one has failed."""

from itertools import product

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine
from scipy.spatial.transform import Rotation

from shared_networks.clinical.registration import register_rigid, resample_rigid
from shared_networks.errors import InputError


@pytest.fixture(scope="module")
def pair(rmr_bundle):
    """Voxels of T1 and FLAIR of the sample, and their affine."""
    images = [nib.load(rmr_bundle / "sample_data" / f"{name}.nii.gz") for name in ("t1", "flair")]
    return *(np.asarray(image.dataobj, np.float32) for image in images), images[0].affine


def motion(seed, degrees, mm, centre):
    """World to world, 4 x 4: a turn about an axis through the centre, then a shift, both in a random direction."""
    random = np.random.default_rng(seed)
    axis, step = (vector / np.linalg.norm(vector) for vector in random.normal(size=(2, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * axis).as_matrix()
    matrix[:3, 3] = centre + mm * step - matrix[:3, :3] @ centre
    return matrix


def on_another_grid(values, affine, spacing):
    """The volume on a grid along the world's axes that holds all of it."""
    corners = apply_affine(affine, list(product(*((0, length - 1) for length in values.shape))))
    grid = np.diag([*spacing, 1.0])
    grid[:3, 3] = corners.min(axis=0)
    shape = tuple(int(length) for length in np.ceil(np.ptp(corners, axis=0) / spacing) + 1)
    return resample_rigid(values, affine, shape, grid, np.eye(4))[0], grid


@pytest.mark.parametrize(
    ("seed", "degrees", "mm", "spacing"),
    [(0, 0, 0, (1, 1, 1)), (1, 5, 8, (1.1, 1.1, 3)), (2, 12, 20, (0.9, 3, 1.2)), (3, 25, 40, (2, 1.3, 1.3))],
)
def test_known_motion_is_found(pair, seed, degrees, mm, spacing):
    t1, flair, affine = pair
    inside = apply_affine(affine, np.argwhere(t1 > 0)[::499])
    truth = motion(seed, degrees, mm, inside.mean(axis=0))
    moved, grid = on_another_grid(flair, truth @ affine, spacing)
    found = register_rigid(t1, affine, moved, grid)
    errors = np.linalg.norm(apply_affine(found.matrix, inside) - apply_affine(truth, inside), axis=1)
    assert errors.max() < 1.0
    turn = Rotation.from_matrix(found.matrix[:3, :3] @ truth[:3, :3].T)
    assert np.degrees(turn.magnitude()) < 1.0
    # what is reported is the motion of FLAIR onto T1, the inverse
    assert found.angle_degrees == pytest.approx(degrees, abs=1.0)
    assert np.allclose(found.rotation_degrees, Rotation.from_matrix(truth[:3, :3].T).as_euler("xyz", True), atol=1.0)
    assert np.allclose(found.translation_mm, found.centre - apply_affine(truth, found.centre), atol=1.0)
    assert found.similarity_after > found.similarity_before - 1e-3 and found.sharpness > 3
    assert found.mutual_information > 0.3


def test_the_same_input_gives_the_same_result(pair):
    t1, flair, affine = pair
    place = motion(4, 6, 10, np.zeros(3)) @ affine
    first, again = (register_rigid(t1, affine, flair, place) for _ in range(2))
    assert np.array_equal(first.matrix, again.matrix) and first.mutual_information == again.mutual_information


def test_the_position_of_the_headers_is_kept_where_nothing_better_is_found(pair):
    """Six slices of 1 mm with noise: a step across them loses most of what the volumes have in common."""
    t1, flair, affine = pair
    noisy = flair + np.random.default_rng(0).normal(0, flair.max() / 2, flair.shape).astype(np.float32)
    found = register_rigid(t1[:, :, 24:30], affine, noisy[:, :, 24:30], affine)
    assert np.array_equal(found.matrix, np.eye(4))
    assert found.similarity_after == found.similarity_before and found.sharpness > 1.7
    assert found.mutual_information > 0.2


def test_volumes_that_show_different_things_fit_nowhere(pair):
    t1, flair, affine = pair
    upside_down = np.ascontiguousarray(flair[:, :, ::-1])
    assert register_rigid(t1, affine, upside_down, affine).sharpness < 1.5


def test_volumes_that_cannot_be_registered_are_refused(pair):
    t1, flair, affine = pair
    with pytest.raises(InputError, match="cannot be registered"):
        register_rigid(t1, affine, flair[:, :, :2], affine)


def test_resampling_follows_the_matrix(pair):
    t1, _, affine = pair
    shift = np.eye(4)
    shift[:3, 3] = affine[:3, :3] @ [3, -2, 1]  # whole voxels
    moved, reached = resample_rigid(t1, affine, t1.shape, affine, shift, outside=-7.0)
    assert np.array_equal(moved[:-3, 2:, :-1], t1[3:, :-2, 1:])
    assert reached[:-3, 2:, :-1].all() and not reached[-3:].any() and not reached[:, :, -1].any()
    assert (moved[~reached] == -7.0).all()
