"""What is done to a pair before it is scaled, seen through the loaders."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from shared_networks.clinical import PreparePair
from shared_networks.clinical.registration import RigidRegistration
from shared_networks.errors import InputError
from shared_networks.io.reading import Source
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd


@pytest.fixture
def case(rmr_bundle, write_volume):
    """Paths of the sample's T1, every other voxel of it, and of its FLAIR on a grid that is turned and shifted."""
    images = [nib.load(rmr_bundle / "sample_data" / f"{name}.nii.gz") for name in ("t1", "flair")]
    angle = np.deg2rad(6)
    turn = np.array([[np.cos(angle), 0, np.sin(angle), 2], [0, 1, 0, -4], [-np.sin(angle), 0, np.cos(angle), 3]])
    turn = np.vstack([turn, [0, 0, 0, 1]])
    t1, flair = (np.asarray(image.dataobj) for image in images)
    first = write_volume("t1.nii.gz", t1[::2, ::2, ::2], images[0].affine @ np.diag([2, 2, 2, 1]))
    second = write_volume("flair.nii.gz", flair[:, ::2], turn @ images[1].affine @ np.diag([1, 2, 1, 1]))
    return [str(first), str(second)]


def load(case, **keys):
    return LoadModalitiesd(label_key="", prepare=PreparePair(**keys))({"case": "a", "image": case})


def test_nothing_switched_on_changes_nothing(case):
    same = [case[0], case[0]]
    first = Source(case[0], np.ones((2, 2, 2)), affine=np.eye(4))
    second = replace(first, path=case[1])
    assert PreparePair()(first, second) == (first, second, {})
    with pytest.raises(InputError, match="--align True registers, --resample True goes by the headers alone"):
        load(case)
    with pytest.raises(InputError, match="given as t1 and as flair"):
        load(same)


def test_alignment_puts_flair_where_it_belongs_and_says_how(case, rmr_bundle):
    item = load(case, align=True)
    expected = nib.load(rmr_bundle / "sample_data" / "flair.nii.gz").get_fdata()[::2, ::2, ::2]
    assert item["image"].shape == (2, *expected.shape) and item["warning"] == ""
    assert np.array_equal(item["image"].affine, nib.load(case[0]).affine)
    inside = (expected > 0) & (item["image"][1].numpy() > 0)
    assert inside.sum() > 0.95 * (expected > 0).sum()
    assert np.corrcoef(item["image"][1].numpy()[inside], expected[inside])[0, 1] > 0.9
    found = json.loads(item["image"].meta["preparation"])["registration"]
    assert found["angle_degrees"] == pytest.approx(6, abs=1)
    assert found["rotation_degrees"] == pytest.approx([0, -6, 0], abs=1)
    assert found["mutual_information"] > 0.3 and found["covered"] > 0.95
    similarity = found["normalised_mutual_information"]
    assert similarity["after"] > similarity["before"] and similarity["after"] > similarity["displaced_by_20_mm"]
    assert np.shape(found["first_to_second"]) == (4, 4)


def test_a_stripped_volume_keeps_its_sharp_border(monkeypatch):
    """Interpolation between brain and nothing would give a rim of faint voxels, which pass for brain."""
    shift = np.eye(4)
    shift[0, 3] = 0.4  # of a voxel
    found = RigidRegistration(shift, np.zeros(3), 1.0, 1.1, 1.5, 1.1)
    monkeypatch.setattr("shared_networks.clinical.prepare_pair.register_rigid", lambda *volumes: found)
    box = np.zeros((12, 12, 12), np.float32)
    box[3:9, 3:9, 3:9] = 100.0
    first = Source(Path("t1.nii.gz"), box, affine=np.eye(4))
    _, second, _ = PreparePair(align=True)(first, replace(first, path=Path("flair.nii.gz")))
    # 0.6 and 0.4 of the box in the voxels of its two faces
    assert second.values[3:9, 5, 5] == pytest.approx([100] * 5 + [60], abs=1e-3)
    assert np.array_equal(second.values > 0, box > 0)


def test_gesenet_takes_the_same_preparation(case):
    item = LoadFusionPaird(prepare=PreparePair(align=True))({"image": case})
    assert np.array_equal(item["image"][1].numpy() > 0, load(case, align=True)["image"][1].numpy() > 0)
    assert "registration" in json.loads(item["image"].meta["preparation"])


def test_failed_registrations_are_refused(case, write_volume):
    image = nib.load(case[1])
    upside_down = write_volume("b/flair.nii.gz", np.asarray(image.dataobj)[:, :, ::-1], image.affine)
    with pytest.raises(InputError, match="the registration failed, nothing fits") as caught:
        load([case[0], str(upside_down)], align=True)
    assert case[0] in str(caught.value)
    with pytest.raises(InputError, match=r"it turned by 6 degrees and moved by \d+ mm \(accepted: 2 and 100\)"):
        load(case, align=True, largest_rotation=2)
    with pytest.raises(InputError, match=r"\(accepted: 45 and 1\)"):
        load(case, align=True, largest_translation=1)


def test_a_doubtful_registration_gives_a_warning():
    moved = np.eye(4)
    moved[0, 3] = 2.0
    found = RigidRegistration(moved, np.zeros(3), 0.2, 1.05, 1.17, 1.1)
    assert found.sharpness == pytest.approx(1.7)
    assert "the registration is doubtful" in PreparePair()._judge("", found)[0]
    assert PreparePair()._judge("", replace(found, similarity_displaced=1.05)) == []
    (said,) = PreparePair()._judge("", replace(found, matrix=np.eye(4), similarity_displaced=1.05))
    assert said == "the registration found nothing better than the position of the headers, which was kept"


def test_flair_that_covers_a_part_only_gives_a_warning(case, write_volume):
    image = nib.load(case[1])
    part = write_volume("b/flair.nii.gz", np.asarray(image.dataobj)[:, :, :36], image.affine)
    item = load([case[0], str(part)], align=True)
    assert "flair.nii.gz covers 7" in item["warning"] or "flair.nii.gz covers 8" in item["warning"]


def test_bias_correction_of_both_or_of_the_first(case):
    same_grid = [case[0], case[0].replace("t1.nii", "copy.nii")]
    nib.save(nib.load(case[0]), same_grid[1])
    both = json.loads(load(same_grid, bias_correction=True)["image"].meta["preparation"])
    assert [entry["file"] for entry in both["bias_field"]] == same_grid
    assert all(0.5 < gain[0] <= 1 <= gain[1] < 2 for gain in (entry["gain"] for entry in both["bias_field"]))
    first = load(same_grid, bias_correction=True, bias_of_second=False)
    assert [entry["file"] for entry in json.loads(first["image"].meta["preparation"])["bias_field"]] == same_grid[:1]
    assert np.array_equal(first["image"][1].numpy(), load(same_grid)["image"][1].numpy())


def test_masks(case, write_volume):
    t1 = nib.load(case[0])
    same_grid = [case[0], str(write_volume("flair2.nii.gz", np.asarray(t1.dataobj) * 2 + 5, t1.affine))]
    inside = np.zeros(t1.shape, np.uint8)
    inside[10:30, 10:40, 5:15] = 1
    path = write_volume("mask.nii.gz", inside, t1.affine)
    for given in (str(path), "mask.nii.gz"):  # a bare name lies beside the T1
        item = load(same_grid, brain_mask=given)
        assert np.array_equal(item["brain"][0].numpy(), inside)
        assert not item["image"].numpy()[:, inside == 0].any()
        record = json.loads(item["image"].meta["preparation"])["brain_mask"]
        assert record == {"source": str(path), "volume_ml": inside.sum() * 8 / 1000}
    item = load(same_grid, brain_mask="auto")
    assert 0.7 < item["brain"].numpy().mean() / (np.asarray(t1.dataobj) > 0).mean() <= 1.0
    # a cut-out of a brain, half of its slices
    assert "which is no whole brain" in item["warning"]
    with pytest.raises(InputError, match=r"the sizes differ.*resample the mask onto the first image's grid"):
        load(same_grid, brain_mask=str(write_volume("small.nii.gz", inside[1:], t1.affine)))
    with pytest.raises(InputError, match="the brain mask is empty"):
        load(same_grid, brain_mask=str(write_volume("empty.nii.gz", inside * 0, t1.affine)))
    with pytest.raises(InputError, match=r"none\.nii\.gz: file not found"):
        load(same_grid, brain_mask="none.nii.gz")


def test_what_cannot_be_prepared_is_refused(case, write_picture, noise):
    pictures = [str(write_picture(f"{name}.png", noise((20, 20), number))) for number, name in enumerate("ab")]
    with pytest.raises(InputError, match="a picture; align, bias_correction and brain_mask are for volumes"):
        LoadFusionPaird(prepare=PreparePair(align=True))({"image": pictures})
    with pytest.raises(InputError, match="no DICOM series, so that no DICOM output can be made of it"):
        load(case, dicom_output=True)


def test_two_patients_give_a_warning(case):
    first, second = (Source(path, np.ones((2, 2, 2)), affine=np.eye(4), patient=path[-8:]) for path in case)
    remark = PreparePair()(first, second)[0].warnings
    assert remark == [f"the two DICOM series name different patients, {case[0][-8:]} and {case[1][-8:]}"]
    assert PreparePair()(first, replace(second, patient=""))[0].warnings == []
