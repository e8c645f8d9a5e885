"""Zeros inside a brain: fluid that was cut off there, or a hole that was cut out."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from shared_networks.clinical import PreparePair
from shared_networks.io.background import find_foreground
from shared_networks.io.source import Source
from shared_networks.io.zeros_inside import find_holes, with_cut_fluid
from shared_networks.transforms import LoadModalitiesd
from tests.io.test_background import SHAPE, ball

SAMPLE = Path(__file__).parents[2] / "rmr_fusion_bundle" / "sample_data"


def furrowed(holes, seed=0):
    """A ball with furrows 6 voxels wide, cut in from the top, and ``holes`` enclosed voxels that are 0."""
    values = np.where(ball(), np.random.default_rng(seed).uniform(300, 1000, SHAPE), 0).astype(np.float32)
    values[17:23, :, 24:] = 0
    inside = np.argwhere(ball(10) & (values > 0))
    values[tuple(inside[:: len(inside) // holes][:holes].T)] = 0
    return values


@pytest.mark.parametrize(("holes", "filled"), [(8, False), (150, True)])
def test_furrows_belong_to_the_brain_where_fluid_is_cut_off(tmp_path, holes, filled):
    """Enclosed fluid that is 0 in both images says that the fluid at the surface is lost, too."""
    paths = [str(tmp_path / f"{name}.nii.gz") for name in ("t1", "flair")]
    for seed, path in enumerate(paths):
        nib.save(nib.Nifti1Image(furrowed(holes, seed), np.diag([1, 1, 1.5, 1])), path)
    loaded = LoadModalitiesd()({"image": paths})
    found = loaded["brain"][0].numpy().astype(bool)
    before = find_foreground(furrowed(holes)).mask
    furrow = ball(11) & ~before
    assert furrow.sum() > 300 and found[before].all()
    if not filled:
        assert np.array_equal(found, before) and "cut off" not in loaded["warning"]
        return
    other = LoadModalitiesd(brain_checks=False)({"image": paths})["brain"][0].numpy()
    assert np.array_equal(other, before)  # for brains only
    nib.save(nib.Nifti1Image(before.astype(np.uint8), np.diag([1, 1, 1.5, 1])), tmp_path / "mask.nii.gz")
    masked = LoadModalitiesd(prepare=PreparePair(brain_mask=str(tmp_path / "mask.nii.gz")))({"image": paths})
    assert np.array_equal(masked["brain"][0].numpy(), before)  # a mask that was given is the brain
    assert found[furrow].all() and not found[~ball(15)].any()
    fact = "t1.nii.gz and flair.nii.gz: fluid inside the brain is 0 like the background (values cut off at 0?)"
    gained = np.count_nonzero(found & ~before) * 1.5 / 1000
    assert f"{fact}; {gained:.3g} ml of furrows at the surface were taken as brain too" in loaded["warning"]
    assert not loaded["image"].numpy()[:, found & ~before].any()


def test_one_image_alone_may_have_more_zeros():
    values = furrowed(150)
    mask, given = find_foreground(values).mask, Source(Path("t1.nii.gz"), values, affine=np.eye(4))
    zero, images = values == 0, [values, values]

    def filled(zeros, images, names):
        return with_cut_fluid(mask, zeros, find_holes(mask, zeros, images, given), given, names)

    assert filled([zero], [values], "t1.nii.gz") is mask
    assert filled([zero, values == 1], images, "") is mask and given.warnings == []
    assert filled([zero, zero], images, "both").sum() > mask.sum() + 300
    assert given.warnings[0].startswith("both: fluid inside")


def load(folder, t1, flair, affine, **keys):
    for name, values in (("t1", t1), ("flair", flair)):
        nib.save(nib.Nifti1Image(values.astype(np.float32), affine), folder / f"{name}.nii.gz")
    return LoadModalitiesd(**keys)({"image": [str(folder / "t1.nii.gz"), str(folder / "flair.nii.gz")]})


def sample(name):
    image = nib.load(SAMPLE / f"{name}.nii.gz")
    return np.asarray(image.dataobj, np.float32), image.affine


@pytest.mark.parametrize("cut", ["hole", "fluid", "both"])
def test_a_hole_that_was_cut_out_is_not_taken_for_fluid(tmp_path, cut):
    """A ball of 9 mm set to 0 in both images is named with its volume; fluid is what fades to 0."""
    (t1, affine), (flair, _) = sample("t1"), sample("flair")
    if cut != "hole":
        t1, flair = (np.maximum(values - 0.4 * np.median(values[values > 0]), 0) for values in (t1, flair))
    before = find_foreground(t1).mask | find_foreground(flair).mask
    removed = 0.0
    if cut != "fluid":
        hole = ball(9, t1.shape, (19, 7, -5))
        assert before[hole].all()
        removed = hole.sum() / 1000
        t1[hole] = flair[hole] = 0
    loaded = load(tmp_path, t1, flair, affine)
    found, warning = loaded["brain"][0].numpy().astype(bool), loaded["warning"]
    assert found[before].all()
    fact = "t1.nii.gz and flair.nii.gz: "
    said = f"{fact}{removed:.3g} ml inside the brain are 0 like the background, with tissue right beside (masked or cut"
    assert (said in warning) == (cut != "fluid")
    assert ("ml inside the brain are 0" in warning) == (cut != "fluid")
    assert (f"{fact}fluid inside the brain is 0" in warning) == (cut != "hole")
    assert (found.sum() > before.sum() + 1000) == (cut != "hole")


def test_what_is_no_hole():
    """Small ones, such whose surroundings fade to 0, and such that one image shows as tissue."""
    values = np.where(ball(), 500, 0).astype(np.float32)
    given = Source(Path("t1.nii.gz"), values, affine=np.diag([1, 1, 2, 1]))
    mask, hole = ball(), ball(6)
    cut = np.where(hole, 0, values)
    assert np.array_equal(find_holes(mask, [cut == 0, cut == 0], [cut, cut], given), hole)
    assert np.array_equal(find_holes(mask, [cut == 0], [cut], given), hole)
    assert not find_holes(mask, [cut == 0, values == 0], [cut, values], given).any()
    faint = np.where(ball(8) & ~hole, 200, cut)
    assert not find_holes(mask, [faint == 0, cut == 0], [faint, cut], given).any()
    small = np.where(ball(3), 0, values)  # 113 voxels of 2 cubic mm
    assert not find_holes(mask, [small == 0], [small], given).any()


def test_a_hole_is_named_whatever_says_where_the_brain_ends(tmp_path):
    """With a brain mask, and where one modality is there alone; not in volumes that are no brains."""
    values = np.where(ball(6), 0, np.where(ball(), 500, 0))
    volumes = [values + ball() * (np.indices(SHAPE).sum(0) % n) * (values > 0) for n in (7, 9)]
    nib.save(nib.Nifti1Image(ball().astype(np.uint8), np.eye(4)), tmp_path / "mask.nii.gz")
    prepare = PreparePair(brain_mask=str(tmp_path / "mask.nii.gz"))
    fact = f"{ball(6).sum() / 1000:.3g} ml inside the brain are 0"
    for keys in ({}, {"prepare": prepare}):
        assert load(tmp_path, *volumes, np.eye(4), **keys)["warning"].count(fact) == 1
    assert fact not in load(tmp_path, *volumes, np.eye(4), brain_checks=False)["warning"]
    alone = LoadModalitiesd(allow_missing=True)({"image": ["", str(tmp_path / "flair.nii.gz")]})
    assert alone["warning"].count(f"flair.nii.gz: {fact}") == 1
