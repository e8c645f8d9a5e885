"""What is background of a volume, and what NaN may be cleared."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, gaussian_filter, label, shift

from shared_networks.data import resolve_cases
from shared_networks.errors import InputError
from shared_networks.io.background import (
    _connected,
    _edges,
    clear_nan_outside,
    find_foreground,
    high_edges,
    second_background,
)
from shared_networks.io.reading import read_source
from shared_networks.io.source import Source
from shared_networks.transforms import LoadModalitiesd

SHAPE = (40, 44, 36)


def ball(radius=14, shape=SHAPE, place=(0, 0, 0)):
    """Around the middle of a volume, or that many voxels from it."""
    axes = np.meshgrid(
        *(np.arange(length) - length / 2 - moved for length, moved in zip(shape, place, strict=True)), indexing="ij"
    )
    return sum(axis**2 for axis in axes) <= radius**2


def brain(seed=0):
    """Values 300 to 1000 in a ball, 0 around and in three cavities."""
    inside = ball()
    inside[18:21, 20:24, 18] = False
    inside[25, 22, 18] = False
    values = np.random.default_rng(seed).uniform(300, 1000, SHAPE).astype(np.float32)
    return values * inside


def test_a_clean_volume_keeps_its_values_and_only_gains_its_holes():
    values = brain()
    found = find_foreground(values)
    assert found.values is values and found.remark == ""
    assert np.array_equal(found.mask, ball())
    assert np.array_equal(found.mask, binary_fill_holes(values != 0))


@pytest.mark.parametrize("level", [-1.0, -0.83, 25.0])
def test_another_lowest_value_is_moved_to_zero(level):
    found = find_foreground(brain() + np.float32(level))
    assert np.allclose(found.values, brain(), atol=1e-3) and not found.values[~ball()].any()
    assert np.array_equal(found.mask, ball()) and found.remark == ""


def test_standardised_inside_only():
    values = (brain() - 650) * ball()
    values[20, 22, 30] = 0  # an average voxel, not a hole in anything
    found = find_foreground(values)
    assert found.values is values and np.array_equal(found.mask, ball()) and values.min() < -300


@pytest.mark.parametrize("noise", [1e-6, 0.005])
def test_a_standardised_image_whose_background_is_not_exactly_one_value(noise):
    """Rounded, or noise, at the lowest values; a few outliers inside are lower still."""
    values = (brain() - 250) / 300 + noise * np.random.default_rng(1).standard_normal(SHAPE)
    values[20, 22, 10:14] = -50
    found = find_foreground(values.astype(np.float32))
    assert "the background is not one value" in found.remark and not found.values[~ball()].any()
    assert np.array_equal(found.mask, ball())
    assert np.allclose(found.values[20, 22, 24:30] * 300, brain()[20, 22, 24:30], atol=0.02 * 1000)
    skull = np.random.default_rng(2).normal(0, 1, SHAPE)  # no low edges: all of it may be contents
    assert find_foreground(skull).mask.mean() > 0.9


def test_a_crop_that_cuts_the_brain():
    values = brain()[:, 12:, 8:-8] - 1
    found = find_foreground(values)
    # In the face that is cut, the cavities are closed in the plane and stay part of the brain.
    assert np.array_equal(found.mask, ball()[:, 12:, 8:-8])


SURROUNDINGS = {
    "rounding": lambda random: random.uniform(-4e-4, 4e-4, SHAPE),
    "small positive": lambda random: random.uniform(0, 1e-4, SHAPE) + 1e-6,
    "noise": lambda random: np.abs(random.normal(0, 20, SHAPE)),
    "negative noise": lambda random: random.normal(0, 15, SHAPE),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_low_surroundings_that_are_not_flat_are_background(name):
    values = brain() + SURROUNDINGS[name](np.random.default_rng(1))
    found = find_foreground(values.astype(np.float32))
    assert "the background is not one value" in found.remark
    # Noise of three standard deviations that touches the brain cannot be told from it.
    assert np.count_nonzero(found.mask != ball()) <= (0.01 * ball().sum() if "noise" in name else 0)
    assert not found.values[~found.mask].any()


def test_ringing_of_a_spline_is_background():
    """Cubic interpolation of a stripped volume overshoots by a tenth; its surroundings are not exactly 0 any more."""
    moved = shift(brain(), (0.4, 0.3, -0.3), order=3)
    assert np.mean((moved != 0) & ~binary_fill_holes(shift(ball().astype(float), (0.4, 0.3, -0.3), order=1) > 0)) > 0.1
    found = find_foreground(moved)
    surface = binary_fill_holes(shift(ball().astype(float), (0.4, 0.3, -0.3), order=1) > 0)
    assert found.remark and np.count_nonzero(found.mask & ~surface) < 0.03 * surface.sum()
    assert np.count_nonzero(~found.mask & ball(12)) == 0


def test_what_smoothing_spreads_is_background_however_large_that_is():
    """A share of the background says nothing: around a small brain the layer is a small one."""
    padded = np.pad(brain(), 20)
    smoothed = gaussian_filter(padded, 0.7)
    found = find_foreground(smoothed)
    assert "the background is not one value" in found.remark
    truth = np.pad(ball(), 20)
    before, after = (2 * (mask & truth).sum() / (mask.sum() + truth.sum()) for mask in (smoothed != 0, found.mask))
    assert before < 0.65 and after > 0.85 and not found.values[~found.mask].any()
    halves = (padded[:-1] + padded[1:]) / 2  # linear interpolation: a layer of a voxel, as bright as half of the brain
    assert find_foreground(halves).remark == ""


def test_what_fills_its_box_has_no_background():
    values = np.random.default_rng(0).uniform(1, 100, (12, 11, 10))
    found = find_foreground(values)
    assert found.mask.all() and found.values is values and found.remark == ""
    for shape in ((1, 1, 2), (5, 4, 1), (7, 6)):
        values = np.random.default_rng(0).integers(0, 3, shape).astype(float)
        assert find_foreground(values).mask.shape == shape


def test_a_single_slice_has_holes_too():
    values = brain()[:, :, 18:19]
    assert np.array_equal(find_foreground(values).mask, ball()[:, :, 18:19])


def source(values):
    return Source(Path("t1.nii.gz"), values.astype(np.float32), affine=np.eye(4))


def test_nan_around_the_brain_becomes_zero():
    values = np.where(ball(), brain(), np.nan)
    given = source(values)
    assert clear_nan_outside(given) and np.array_equal(given.values, brain())
    assert given.warnings == [f"t1.nii.gz: {np.isnan(values).sum()} NaN around the contents were set to 0"]
    gaps = source(np.where(brain() == 0, np.nan, brain()))
    assert clear_nan_outside(gaps) and "13 of them in small gaps inside" in gaps.warnings[0]


def test_nan_in_a_corner_of_the_background_becomes_zero():
    values = brain()
    values[:2, :2, :2] = np.nan
    given = source(values)
    assert clear_nan_outside(given) and np.array_equal(given.values, brain())


@pytest.mark.parametrize("place", ["inside", "inside with NaN around", "at a cut"])
def test_nan_in_the_brain_stays(place):
    values = brain()[:, 12:]
    if place == "inside with NaN around":
        values[~ball()[:, 12:]] = np.nan
    if place == "at a cut":
        values[19:22, :2, 17:19] = np.nan
    else:
        values[22:25, 14:17, 16:19] = np.nan
    given = source(values)
    assert not clear_nan_outside(given)
    assert np.array_equal(given.values, values.astype(np.float32), equal_nan=True) and given.warnings == []


def test_real_stripped_volumes_change_by_filled_holes_only(data_dir):
    """Every stripped T1 and FLAIR: the values stay, nothing of the foreground is lost, and what is added are holes."""
    names = ("open_ms-07", "mahdi_ms5-105074", "longitudinal-12s1")
    for case in (case for case in resolve_cases(dataset_dir=data_dir / "brain") if case["case"] in names):
        masks = []
        for path in case["image"]:
            values = nib.load(path).get_fdata(dtype=np.float32)
            found = find_foreground(values)
            assert found.values is values and found.remark == ""
            assert found.mask[values != 0].all() and not values[found.mask & (values == 0)].any()
            assert np.count_nonzero(found.mask & (values == 0)) <= 0.01 * np.count_nonzero(values)
            masks.append(found.mask)
        loaded = LoadModalitiesd(label_key="", foreground_key="foreground")(case)
        assert np.array_equal(loaded["foreground"].numpy().astype(bool), np.stack(masks))
        assert np.array_equal(loaded["brain"][0].numpy().astype(bool), masks[0] | masks[1])


@pytest.mark.parametrize(("border", "around"), [(-1000.0, 0.0), (-1500.0, -1000.0)])
def test_a_background_of_two_values_is_named(tmp_path, border, around):
    values = brain()
    values[values == 0] = around
    values[[*range(5), *range(-5, 0)]] = border
    assert second_background(find_foreground(values)) == around - border
    paths = []
    for name in ("t1", "flair"):
        paths.append(str(tmp_path / f"{name}.nii.gz"))
        nib.save(nib.Nifti1Image(values if name == "t1" else brain(1), np.eye(4)), paths[-1])
    said = LoadModalitiesd()({"image": paths})["warning"]
    assert f"t1.nii.gz: the surface of the brain has one value, {around - border:+.4g} to the background" in said


@pytest.mark.parametrize("level", [-1.0, 0.0, 25.0])
def test_one_background_is_one(level):
    values = brain()
    values[values == 0] = level
    assert second_background(find_foreground(values)) is None
    assert second_background(find_foreground(np.full(SHAPE, 3.0))) is None


def test_a_bright_background_is_named_and_not_taken(tmp_path):
    values = brain()
    bright = np.where(values == 0, 2 * values.max(), values)
    assert high_edges(bright) == 2 * values.max()
    air = np.where(values == 0, 47, values)
    air[20, 22, 0] = 3  # a head in air that is not 0 everywhere
    for other in (values, values - 5, air, np.random.default_rng(0).random(values.shape)):
        assert high_edges(other) is None
    for name, content in (("t1", bright), ("flair", brain(1))):
        nib.save(nib.Nifti1Image(content, np.eye(4)), tmp_path / f"{name}.nii.gz")
    said = LoadModalitiesd()({"image": [str(tmp_path / f"{name}.nii.gz") for name in ("t1", "flair")]})["warning"]
    fact = f"most edges of the volume have one value, {2 * values.max():.4g}, which is brighter than most others"
    assert f"t1.nii.gz: {fact}; if that is background, set it to 0" in said and "flair.nii.gz: most" not in said


@pytest.mark.parametrize("fill", [-3.4e38, 3.4e38, 1e36, -np.inf, np.inf])
def test_the_largest_numbers_there_are_mean_no_value(tmp_path, fill):
    nib.save(nib.Nifti1Image(np.where(ball(), brain(), fill).astype(np.float32), np.eye(4)), tmp_path / "t1.nii")
    source = read_source(tmp_path / "t1.nii")
    assert np.array_equal(source.values, brain())
    assert "NaN around the contents were set to 0" in source.warnings[0]
    inside = np.where(ball(), brain(), 0).astype(np.float32)
    inside[24, 15, 17] = fill
    nib.save(nib.Nifti1Image(inside, np.eye(4)), tmp_path / "t1.nii")
    with pytest.raises(InputError, match="1 NaN or infinite values"):
        read_source(tmp_path / "t1.nii")


@pytest.mark.parametrize(
    ("radius", "gap", "cleared"), [(20, 16, True), (20, 18, False), (50, 48, True), (50, 60, False)]
)
def test_gaps_of_nan_inside_may_be_as_large_as_a_share_of_the_contents(radius, gap, cleared):
    """A ball of 34,000 voxels, or of 524,000: programs that write NaN for 0 do so for fluid in the brain too."""
    values = np.where(ball(radius, (2 * radius + 8,) * 3), 500, np.nan).astype(np.float32)
    values[radius : radius + gap // 2, radius : radius + 2, radius] = np.nan
    assert clear_nan_outside(Source(Path("a.nii"), values, affine=np.eye(4))) is cleared


@pytest.mark.parametrize("shape", [(9, 8, 7), (12, 1, 10), (5, 6, 1)])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9, 1.0])
@pytest.mark.parametrize("around", [0, 2])
def test_what_reaches_an_edge_is_found_in_the_box_alone(shape, share, around):
    """The same as parts of the whole volume, also where the box has parts that only meet outside it."""
    inner = np.random.default_rng(1).random(shape) < share
    candidates = np.pad(inner, [(around, 0), (0, 0), (0, around)], constant_values=True)
    edges = _edges(candidates.shape)
    parts, _ = label(candidates)
    assert np.array_equal(_connected(candidates, edges), candidates & np.isin(parts, parts[edges & candidates]))
