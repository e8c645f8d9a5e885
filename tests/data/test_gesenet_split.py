"""Validation cases go by modality and patient."""

import json
import shutil
from pathlib import Path

import pytest

from shared_networks.data import resolve_pairs, split_pairs, training_pairs
from shared_networks.errors import InputError

CASES = {"CT": ["33"], "PET": ["30"], "SPECT": ["18", "29"]}


def pair(modality, patient, name):
    return {"case": name, "modality": modality, "patient": patient, "image": ["a", "b"]}


def test_same_number_in_another_modality_stays_in_training():
    pairs = [pair("CT", "30", "a"), pair("PET", "30", "b"), pair("PET", "25", "c"), pair("PET", "30", "d")]
    training, validation = split_pairs(pairs, {"PET": ["30"]})
    assert [item["case"] for item in training] == ["a", "c"]
    assert [item["case"] for item in validation] == ["b", "d"]


def test_numbers_in_the_config_may_be_numbers():
    training, validation = split_pairs([pair("CT", "3", "a"), pair("CT", "33", "b")], {"CT": [33]})
    assert [item["case"] for item in training] == ["a"] and [item["case"] for item in validation] == ["b"]


def test_a_case_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="not in the training data: CT 7, MR 1"):
        split_pairs([pair("CT", "3", "a")], {"CT": ["7"], "MR": ["1"]})
    with pytest.raises(InputError, match="every training pair is a validation case"):
        split_pairs([pair("CT", "3", "a")], {"CT": ["3"]})


def test_parts_of_a_folder(write_picture, noise):
    for part in ("train", "validation"):
        for source in ("mri", "other"):
            path = write_picture(f"{part}/{source}/{part[0]}.png", noise((4, 4)))
    root = path.parents[2]
    assert [item["case"] for item in training_pairs("training", dataset_dir=str(root))] == ["t"]
    assert [item["case"] for item in training_pairs("validation", dataset_dir=str(root))] == ["v"]
    (root / "train" / "other" / "t.png").unlink()
    with pytest.raises(InputError, match="no partner"):
        training_pairs("training", dataset_dir=str(root))


def test_a_folder_of_modalities_needs_a_part_to_validate_with(write_picture, noise, tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for source in ("mri", "other"):
            for number in range(count):
                write_picture(f"CT/{part}/{source}/{part}{number}.png", noise((4, 4)))
    parts = [
        training_pairs(part, dataset_dir=str(tmp_path), validation_cases={}) for part in ("training", "validation")
    ]
    assert [len(part) for part in parts] == [3, 2] and {pair["modality"] for part in parts for pair in part} == {"CT"}
    shutil.rmtree(tmp_path / "CT" / "val")
    with pytest.raises(InputError) as caught:
        training_pairs("validation", dataset_dir=str(tmp_path), validation_cases={})
    assert str(caught.value) == (
        f"{tmp_path}: no section 'validation'; there is training: add MODALITY/val/mri and MODALITY/val/other."
    )


def test_one_image_may_have_several_partners_in_a_training(tmp_path):
    items = [{"mri": "t1.nii", "other": f"{name}.nii", "case": "p"} for name in ("flair", "t2", "flair")]
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"training": items, "validation": [items[0] | {"case": "q"}]}))
    training = training_pairs("training", str(path), slices=1)
    assert [Path(item["image"][1]).stem for item in training] == ["flair", "t2", "flair"]
    assert [item["case"] for item in training] == ["p_t1_0.50", "p_t1-2_0.50", "p_t1-3_0.50"]
    refused = ["refused" in pair for pair in resolve_pairs(datalist=str(path), section="training")]
    assert refused == [False, True, True]


def test_real_split(data_dir):
    folder = str(data_dir / "harvard")
    training, validation = (training_pairs(part, "", folder, CASES) for part in ("training", "validation"))
    assert len(training) + len(validation) == 90 + 176 + 223
    assert {(item["modality"], item["patient"]) for item in validation} == {
        ("CT", "33"),
        ("PET", "30"),
        ("SPECT", "18"),
        ("SPECT", "29"),
    }
    assert not {item["case"] for item in training} & {item["case"] for item in validation}


def test_a_validation_section_joins_and_volumes_give_slices(write_picture, noise, tmp_path):
    for name in "abcd":
        write_picture(f"{name}.png", noise((4, 4)))
        (tmp_path / f"{name}.nii.gz").touch()
    items = {
        "training": [
            *({"mri": f"{name}.png", "other": f"{name}.png", "modality": "CT", "case": "1"} for name in "ab"),
            {"mri": "c.png", "other": "c.png", "modality": "CT", "case": "2"},
            {"mri": "a.nii.gz", "other": "b.nii.gz", "modality": "FLAIR", "case": "x"},
        ],
        "validation": [{"mri": "c.nii.gz", "other": "d.nii.gz", "modality": "FLAIR", "case": "y", "name": "y"}],
    }
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps(items))
    keys = {"validation_cases": {"CT": ["1"]}, "every": 2, "slices": 3}
    for where in ({"datalist": str(path)}, {"dataset_dir": str(tmp_path)}):
        validation = training_pairs("validation", **where, **keys)
        assert [(item["modality"], item["patient"]) for item in validation] == [("CT", "1"), *[("FLAIR", "y")] * 3]
        assert [item.get("slice_share") for item in validation] == [None, 0.25, 0.5, 0.75]
        training = training_pairs("training", **where, validation_cases={"CT": ["1"]})
        assert [item["patient"] for item in training] == ["2", "x"]
        assert "slice_share" not in training[1]
    items["validation"][0]["case"] = "x"
    path.write_text(json.dumps(items))
    with pytest.raises(InputError, match="in training and in validation: FLAIR x"):
        training_pairs("training", datalist=str(path), validation_cases={"CT": ["1"]})


def test_a_patient_in_both_sections_of_a_list_is_refused(tmp_path):
    item = {"mri": "a.png", "other": "b.png", "modality": "CT", "case": "7"}
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps({"training": [item], "validation": [item | {"modality": "PET"}]}))
    assert [pair["modality"] for pair in training_pairs("training", str(path))] == ["CT"]
    path.write_text(json.dumps({"training": [item], "validation": [item | {"other": "c.png"}]}))
    with pytest.raises(InputError, match="cases are in training and in validation: CT 7; keep each in one section"):
        training_pairs("training", str(path))
