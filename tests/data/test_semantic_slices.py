"""Labelled pictures for the semantic module: what is read, how it is turned and scaled, and what is kept apart."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from shared_networks.data.semantic_slices import brain_slices, labelled_slices, pair_slices
from shared_networks.errors import InputError

AFFINES = {"RAS": np.diag([1.0, 1, 1, 1]), "LPS": np.diag([-1.0, -1, 1, 1])}


def _brain(folder: Path, orientation: str = "RAS") -> Path:
    """A subject whose left anterior quarter is white matter, the right anterior grey, the posterior half CSF."""
    label = np.zeros((20, 24, 3), np.uint8)  # x to the right, y to the front
    label[2:18, 2:12] = 1
    label[2:10, 12:22] = 3
    label[10:18, 12:22] = 2
    label[2:4, 20:22] = 4
    label[:, :, 2] = 0
    t1, flair = label.astype(np.int16) * 100, label.astype(np.int16) * 50
    for name, volume in (("t1", t1), ("flair", flair), ("label", label)):
        volume = volume if orientation == "RAS" else volume[::-1, ::-1]
        nib.save(nib.Nifti1Image(np.ascontiguousarray(volume), AFFINES[orientation]), folder / f"{name}.nii.gz")
    entry = {"subject": "one", "t1": "t1.nii.gz", "flair": "flair.nii.gz", "label": "label.nii.gz"}
    (folder / "datalist.json").write_text(json.dumps({"training": [entry], "validation": []}))
    return folder


@pytest.mark.parametrize("orientation", ["RAS", "LPS"])
def test_axial_slices_have_the_front_up_and_the_patients_right_on_the_left(tmp_path, orientation):
    items = brain_slices(str(_brain(tmp_path, orientation)), "training")
    assert [item["case"] for item in items] == ["one_000"] * 4 + ["one_001"] * 4  # the empty third slice is left out
    label = items[0]["label"]
    assert label.shape == (1, 24, 20) and label.dtype == np.uint8
    assert label[0, 8, 5] == 2 and label[0, 8, 14] == 3 and label[0, 18, 5] == label[0, 18, 14] == 1
    assert label[0, 2, 17] == 3  # the lesion counts as white matter
    assert set(np.unique(label)) == {0, 1, 2, 3}


def test_each_slice_gives_both_sources_their_maximum_and_their_mean(tmp_path):
    first, second, maximum, mean = (item["image"] for item in brain_slices(str(_brain(tmp_path)), "training")[:4])
    assert first.dtype == np.float32 and first.min() == 0 and first.max() == 1
    np.testing.assert_array_equal(maximum, np.maximum(first, second))
    np.testing.assert_allclose(mean, (first + second) / 2)


def _write_pair(folder: Path, name: str, mri: np.ndarray, other: np.ndarray) -> None:
    for side, picture in (("mri", mri), ("other", other)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / side / name)


def _pairs(folder: Path) -> Path:
    grey = np.full((16, 16), 51, np.uint8)
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    for name in ("7001.png", "7002.png", "12001.png"):
        _write_pair(folder / "CT" / "train", name, grey, grey)
        _write_pair(folder / "CT" / "test", "9" + name, grey, grey)
    _write_pair(folder / "PET" / "train", "30001.png", grey, red)
    return folder


def test_sections_are_split_by_case_and_tests_are_never_read(tmp_path):
    held_out = {"CT": ["12"], "PET": [30]}
    training = pair_slices(str(_pairs(tmp_path)), held_out, "training")
    validation = pair_slices(str(tmp_path), held_out, "validation")
    assert {item["case"] for item in training} == {"CT_7001", "CT_7002"}
    assert {item["case"] for item in validation} == {"CT_12001", "PET_30001"}
    assert {item["modality"] for item in validation} == {"CT", "PET"}


def test_colour_is_read_as_luminance(tmp_path):
    items = pair_slices(str(_pairs(tmp_path)), {}, "training")
    pet = [item for item in items if item["case"] == "PET_30001"]
    np.testing.assert_allclose(pet[0]["image"], 51 / 255, atol=1e-6)
    np.testing.assert_allclose(pet[1]["image"], 0.299, atol=1e-6)


def test_every_takes_whole_slices(tmp_path):
    items = labelled_slices("training", dataset_dir=str(_pairs(tmp_path)), every=3)
    assert [item["case"] for item in items] == ["CT_12001"] * 4 + ["PET_30001"] * 4


def test_bad_input_is_one_line_that_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"set dataset_dir .* brain_dir"):
        labelled_slices("training")
    with pytest.raises(InputError, match=r"no pictures for training, expected MODALITY/train/mri/\*.png"):
        labelled_slices("training", dataset_dir=str(tmp_path))
    with pytest.raises(InputError, match=r"datalist.json: not found"):
        labelled_slices("training", brain_dir=str(tmp_path))
    with pytest.raises(ValueError, match="section must be"):
        labelled_slices("test", dataset_dir=str(tmp_path))
    _pairs(tmp_path)
    (tmp_path / "CT" / "train" / "other" / "7002.png").unlink()
    with pytest.raises(InputError, match=r"mri/7002.png: no partner in .*other; expected an image named 7002 there"):
        labelled_slices("training", dataset_dir=str(tmp_path))


def test_pictures_of_any_type_are_read_and_paired_by_name(tmp_path):
    picture = np.arange(256, dtype=np.uint8).reshape(16, 16)
    _write_pair(tmp_path / "CT" / "train", "1001.png", picture, picture[::-1])
    wanted = [item["image"] for item in pair_slices(str(tmp_path), {}, "training")]
    folder = tmp_path / "other" / "CT" / "train"
    _write_pair(folder, "1001.PNG", picture, picture[::-1])
    Image.fromarray(np.ascontiguousarray(picture[::-1])).save(folder / "other" / "1001.tif")
    (folder / "other" / "1001.PNG").unlink()
    (folder / "mri" / ".1002.png").write_bytes(b"")
    found = [item["image"] for item in pair_slices(str(tmp_path / "other"), {}, "training")]
    assert len(found) == 4 and all(np.array_equal(*both) for both in zip(found, wanted, strict=True))


def test_items_that_are_none_and_labels_of_no_class_are_refused(tmp_path):
    _brain(tmp_path)
    label = nib.load(tmp_path / "label.nii.gz")
    values = np.asarray(label.dataobj).copy()
    values[5, 5, 0] = 7
    nib.save(nib.Nifti1Image(values, label.affine), tmp_path / "label.nii.gz")
    with pytest.raises(InputError, match=r"label.nii.gz: value 7 in the label, expected 0, 1, 2, 3, 4"):
        brain_slices(str(tmp_path), "training")
    (tmp_path / "datalist.json").write_text('{"Training": [null]}')
    with pytest.raises(InputError, match=r"datalist.json: every item must hold t1, flair and label, got null"):
        brain_slices(str(tmp_path), "training")


@pytest.mark.parametrize("key", ["t1", "flair", "label"])
def test_bad_volumes_are_refused_by_name(tmp_path, key):
    _brain(tmp_path)
    path = tmp_path / f"{key}.nii.gz"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=rf"{key}.nii.gz: cannot be read \(.*\); check that"):
        brain_slices(str(tmp_path), "training")
    nib.save(nib.Nifti1Image(np.zeros((20, 24, 3), np.uint8), AFFINES["RAS"]), path)
    with pytest.raises(InputError, match=rf"{key}.nii.gz: shape .* or no value above 0"):
        brain_slices(str(tmp_path), "training")
    path.unlink()
    with pytest.raises(InputError, match=rf"{key}.nii.gz: no such file"):
        brain_slices(str(tmp_path), "training")


def test_volumes_of_different_shapes_are_refused(tmp_path):
    _brain(tmp_path)
    nib.save(nib.Nifti1Image(np.ones((20, 24, 4), np.uint8), AFFINES["RAS"]), tmp_path / "flair.nii.gz")
    with pytest.raises(InputError, match=r"flair.nii.gz: shape \(20, 24, 4\) \(T1: \(20, 24, 3\)\)"):
        brain_slices(str(tmp_path), "training")


def test_real_pairs_hold_every_class_in_plausible_shares(data_dir):
    items = pair_slices(str(data_dir / "harvard"), {"SPECT": ["18"]}, "validation")
    assert len(items) == 4 * 34
    share = np.bincount(np.concatenate([item["label"].ravel() for item in items[::4]]), minlength=6)
    share = share / share.sum()
    assert 0.4 < share[0] < 0.7
    assert (share[1:] > 0.02).all() and (share[1:] < 0.25).all()


def test_16_bit_pictures_keep_their_range(tmp_path):
    deep = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    _write_pair(tmp_path / "CT" / "train", "1001.png", deep, deep[::-1].copy())
    items = pair_slices(str(tmp_path), {}, "training")
    np.testing.assert_allclose(items[0]["image"][0], deep / 65535, atol=1e-6)


def test_a_volume_on_another_grid_is_refused(tmp_path):
    _brain(tmp_path)
    image = nib.load(tmp_path / "flair.nii.gz")
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.diag([1.0, 1, 2, 1])), tmp_path / "flair.nii.gz")
    with pytest.raises(InputError, match="the spacing differs, 1 x 1 x 1 mm against 1 x 1 x 2 mm"):
        brain_slices(str(tmp_path), "training")
