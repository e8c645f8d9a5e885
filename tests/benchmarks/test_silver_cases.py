"""Cases made of automatic labels."""

import json
import sys

import nibabel
import numpy as np
import pytest

from benchmarks import silver_cases
from benchmarks.silver_cases import CSF, GM, LESION, NOT_LABELLED, WM, divided, mixed, sure_labels
from shared_networks.data import training_cases


def test_bright_white_matter_and_borders_are_not_labelled():
    label = np.full((20, 12, 12), WM, np.uint8)
    label[:4], label[4:8] = CSF, GM
    label[14:17, 4:8, 4:8] = LESION
    flair = np.select([label == CSF, label == GM, label == LESION], [0.1, 0.6, 1.0], 0.5)
    flair[18:, 2, 2] = 0.9  # above the midpoint 0.75
    flair[7] = 0.55  # grey matter at the border that is darker than most of it
    sure = sure_labels(label, flair)
    expected = label.copy()
    expected[18:, 2, 2] = NOT_LABELLED
    expected[3] = expected[7] = expected[8] = NOT_LABELLED
    assert np.array_equal(sure, expected)  # and the clear cortex beside CSF stays


def test_rounds_hold_every_labelled_item_and_thin_ones_three_times():
    labelled = [{"subject": name, "spacing": [1, 1, z]} for name, z in (("a", 1.0), ("b", 6.0), ("c", 6.0))]
    silver = [{"subject": f"s{number}"} for number in range(10)]
    names = [item["subject"] for item in mixed(labelled, silver)]
    assert {name: names.count(name) for name in names} == {"a": 6, "b": 2, "c": 2} | {f"s{n}": 1 for n in range(10)}
    assert names[:3] == ["a", "s0", "s3"]


def test_subjects_held_out_are_the_validation_of_a_fold():
    lists = {"training": [{"subject": "a"}, {"subject": "b"}], "validation": [{"subject": "c"}]}
    assert divided(lists, []) == lists
    fold = {"training": [{"subject": "a"}, {"subject": "c"}], "validation": [{"subject": "b"}]}
    assert divided(lists, ["b"]) == fold
    with pytest.raises(SystemExit, match="no subject x in the training and validation items"):
        divided(lists, ["a", "x"])


@pytest.fixture
def silver_list(tmp_path):
    rng = np.random.default_rng(0)
    label = rng.choice([0, CSF, GM, WM, LESION], (12, 10, 8)).astype(np.uint8)
    folder = tmp_path / "silver-1"
    folder.mkdir()
    for name, values in (("t1", 100 * label), ("flair", 90 * label), ("label", label)):
        nibabel.save(
            nibabel.Nifti1Image(values.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), folder / f"{name}.nii.gz"
        )
    item = {key: f"silver-1/{key}.nii.gz" for key in ("t1", "flair", "label")}
    item |= {"subject": "silver-1", "spacing": [2.0, 2.0, 2.0]}
    (tmp_path / "datalist.json").write_text(json.dumps({"silver_training": [item]}))
    (tmp_path / "brains.json").write_text(json.dumps({"training": [item | {"subject": "x"}], "validation": [item]}))
    return tmp_path


def test_the_command_writes_cases_that_a_training_reads(silver_list, monkeypatch):
    out = silver_list / "out"
    lists = [str(silver_list / "datalist.json"), "--beside", str(silver_list / "brains.json"), "--output", str(out)]
    monkeypatch.setattr(sys, "argv", ["silver_cases", *lists])
    silver_cases.main()
    image = nibabel.load(out / "silver-1" / "label.nii.gz")
    assert nibabel.affines.voxel_sizes(image.affine) == pytest.approx([1.0, 1.0, 2.0])
    assert set(np.unique(image.get_fdata())) <= {0, CSF, GM, WM, LESION, NOT_LABELLED}
    cases = training_cases("training", datalist=str(out / "datalist.json"), allowed_labels=[*range(5), 255])
    assert [case["subject"] for case in cases] == ["x", "silver-1"]
