"""Cases drawn from label maps."""

import json
import sys

import nibabel
import numpy as np
import pytest

from benchmarks import synthetic_cases
from benchmarks.synthetic_cases import CSF, GM, LESION, MEANS, MNI_BOX, OUTSIDE, WM, labels_of, place_lesions, spread
from shared_networks.data import training_cases

TABLE = {
    "ids": {
        "0": {"name": "background", "tissue": "outside"},
        "2": {"name": "Left-Cerebral-White-Matter", "tissue": "WM"},
        "3": {"name": "Left-Cerebral-Cortex", "tissue": "GM"},
        "24": {"name": "CSF", "tissue": "CSF"},
        "511": {"name": "skin", "tissue": "outside"},
    }
}


def _head() -> np.ndarray:
    """Layers of ids around a cube of white matter of 24 voxels: 2 of cortex, 6 of CSF, 2 of skin."""
    ids = np.zeros((48, 48, 48), np.uint16)
    for number, start in ((511, 2), (24, 4), (3, 10), (2, 12)):
        ids[start:-start, start:-start, start:-start] = number
    return ids


def _lesions(low: np.ndarray, high: np.ndarray) -> nibabel.Nifti1Image:
    """A box of 1 in MNI space between two corners in mm."""
    affine = nibabel.affines.from_matvec(np.diag([-2.0, 2.0, 2.0]), [90.0, -126.0, -90.0])
    grid = np.stack(np.meshgrid(*(np.arange(size) for size in (91, 109, 91)), indexing="ij"), -1)
    places = nibabel.affines.apply_affine(affine, grid)
    inside = ((places >= low) & (places <= high)).all(-1)
    return nibabel.Nifti1Image(inside.astype(np.uint8), affine)


def test_labels_keep_three_millimetres_of_csf():
    label = labels_of(_head(), TABLE)
    assert (
        label[24, 24].tolist()
        == [OUTSIDE] * 7 + [CSF] * 3 + [GM] * 2 + [WM] * 24 + [GM] * 2 + [CSF] * 3 + [OUTSIDE] * 7
    )


def test_a_stray_piece_of_brain_is_not_brain():
    ids = _head()
    ids[0, 0, 0] = 2
    assert labels_of(ids, TABLE)[0, 0, 0] == OUTSIDE


def test_lesions_lie_at_the_same_place_of_the_box():
    label = labels_of(_head(), TABLE)
    size = MNI_BOX[1] - MNI_BOX[0]
    found = np.argwhere(place_lesions(_lesions(MNI_BOX[0] + 0.4 * size, MNI_BOX[0] + 0.6 * size), label))
    low, high = (np.argwhere(label > 0).min(0), np.argwhere(label > 0).max(0))
    np.testing.assert_allclose((found.min(0) - low) / (high - low), 0.4, atol=0.04)
    np.testing.assert_allclose((found.max(0) - low) / (high - low), 0.6, atol=0.04)
    everywhere = place_lesions(_lesions(MNI_BOX[0], MNI_BOX[1]), label)
    assert np.array_equal(everywhere, label == WM)


def test_new_items_lie_at_equal_distances():
    assert spread([1, 2, 3, 4], ["a", "b"]) == [1, 2, "a", 3, 4, "b"]
    assert spread([1, 2], []) == [1, 2]


@pytest.fixture
def folders(tmp_path):
    for name in ("maps", "shapes"):
        (tmp_path / name).mkdir()
    nibabel.save(nibabel.Nifti1Image(_head(), np.diag([-1.0, 1, 1, 1])), tmp_path / "maps" / "head.nii.gz")
    (tmp_path / "maps" / "tissues.json").write_text(json.dumps(TABLE))
    size = MNI_BOX[1] - MNI_BOX[0]
    nibabel.save(_lesions(MNI_BOX[0] + 0.4 * size, MNI_BOX[1] - 0.4 * size), tmp_path / "shapes" / "one.nii.gz")
    nibabel.save(_lesions(MNI_BOX[0], MNI_BOX[1]), tmp_path / "shapes" / "kept_aside.nii.gz")
    item = {"subject": "real", "t1": "t1.nii.gz", "flair": "flair.nii.gz", "label": "label.nii.gz"}
    (tmp_path / "beside.json").write_text(json.dumps({"training": [item], "validation": [item]}))
    return tmp_path


def test_the_command_writes_cases_that_a_training_reads(folders, monkeypatch):
    out = folders / "out"
    command = [str(folders / "maps" / "tissues.json"), "--lesions", str(folders / "shapes"), "--leave_out"]
    command += ["kept_aside", "--beside", str(folders / "beside.json"), "--count", "2", "--output", str(out)]
    monkeypatch.setattr(sys, "argv", ["synthetic_cases", *command])
    synthetic_cases.main()
    items = json.loads((out / "datalist.json").read_text())["training"]
    assert [item["subject"] for item in items] == ["real", "synthetic-00", "synthetic-01"]
    label = np.asarray(nibabel.load(out / "synthetic-00" / "label.nii.gz").dataobj)
    assert label.shape == (34, 34, 34) and set(np.unique(label)) == {OUTSIDE, CSF, GM, WM, LESION}
    for name, means in MEANS.items():
        image = np.asarray(nibabel.load(out / "synthetic-00" / f"{name}.nii.gz").dataobj)
        assert np.array_equal(image > 0, label > 0)
        # Structures differ from their tissue by 4 %, lesions by their texture of 10 %.
        for value in (GM, WM, LESION):
            core = image[16:18, 16:18, 16:18] if value == LESION else image[label == value]
            low, high = means[value]
            assert 0.75 * low < np.median(core) < 1.25 * high, (name, value)
    (out / "list.json").write_text(json.dumps({"training": [items[1]], "validation": [items[2]]}))
    cases = training_cases(part="training", datalist=str(out / "list.json"), dataset_dir="", validation_subjects=[])
    assert [case["case"] for case in cases] == ["synthetic-00"]


def test_same_number_same_case_and_another_number_another(folders):
    table = json.loads((folders / "maps" / "tissues.json").read_text())
    files = folders / "maps" / "head.nii.gz", folders / "shapes" / "one.nii.gz"
    images = []
    for run, seed in (("first", 3), ("again", 3), ("other", 4)):
        item = synthetic_cases.make_case(*files, table, folders / run, seed)
        images.append(np.asarray(nibabel.load(item["flair"]).dataobj))
    assert np.array_equal(images[0], images[1]) and not np.array_equal(images[0], images[2])
