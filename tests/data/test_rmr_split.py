"""Training and validation never share a subject."""

import json

import numpy as np
import pytest

from shared_networks.data import evaluation_cases, resolve_cases, rmr_split, training_cases
from shared_networks.errors import InputError
from shared_networks.io.reading import read_source


@pytest.fixture
def data(tmp_path):
    """Folder with a data list of four labelled and two other subjects."""

    def item(name, labelled=True):
        return {"subject": name, "t1": f"{name}/t1.nii", "flair": f"{name}/f.nii"} | (
            {"label": "l.nii"} if labelled else {}
        )

    content = {"training": [item("a"), item("b"), item("c")], "validation": [item("d")], "test": [item("t")]}
    content["unlabelled_training"] = [item("u", False), item("v", False)]
    (tmp_path / "datalist.json").write_text(json.dumps(content))
    return tmp_path


def names(*args, **kwargs):
    return [case["case"] for case in training_cases(*args, **kwargs)]


def test_sections_of_the_data(data):
    assert names("training", dataset_dir=data) == ["a", "b", "c"]
    assert names("validation", dataset_dir=data) == ["d"]
    assert names("training", dataset_dir=data, unlabelled=True) == ["a", "b", "c", "u", "v"]
    assert names("validation", datalist=data / "datalist.json", unlabelled=True) == ["d"]


@pytest.mark.parametrize("subject", ["a", "b", "c", "d"])
def test_leave_one_out(data, subject):
    keys = {"dataset_dir": data, "validation_subjects": [subject]}
    assert names("validation", **keys) == [subject]
    assert sorted([*names("training", **keys), subject]) == ["a", "b", "c", "d"]
    assert names("training", **keys, unlabelled=True)[-2:] == ["u", "v"]


def test_what_a_training_must_not_begin_with(data):
    for keys, message in (
        ({"validation_subjects": ["a", "x", "t"]}, "no subject t, x; correct validation_subjects"),
        ({"validation_subjects": list("abcd")}, "no training cases are left"),
    ):
        with pytest.raises(InputError, match=message):
            training_cases("training", dataset_dir=data, **keys)
    assert training_cases("training") == []
    with pytest.raises(ValueError, match="part must be"):
        training_cases("test", dataset_dir=data)


def test_missing_labels_and_refused_cases(data):
    listing = json.loads((data / "datalist.json").read_text())
    del listing["training"][1]["label"]
    (data / "datalist.json").write_text(json.dumps(listing))
    with pytest.raises(InputError, match="b has no label; training and validation need one"):
        training_cases("training", dataset_dir=data)
    assert names("training", dataset_dir=data, unlabelled=True)[:3] == ["a", "b", "c"]
    listing["training"][1]["t1"] = ""
    (data / "datalist.json").write_text(json.dumps(listing))
    with pytest.raises(InputError, match="every item must hold the paths t1 and flair"):
        training_cases("training", dataset_dir=data, unlabelled=True)


def test_a_training_may_see_a_subject_several_times(data):
    listing = json.loads((data / "datalist.json").read_text())
    again = listing["training"][0] | {"flair": "a/other.nii"}
    taken = listing["training"][1] | {"subject": "A-2"}
    listing["training"] += [listing["training"][0], again, taken]
    (data / "datalist.json").write_text(json.dumps(listing))
    cases = training_cases("training", dataset_dir=data)
    assert [case["case"] for case in cases] == ["a", "b", "c", "a-2", "a-3", "A-2-2"]
    assert [case["subject"] for case in cases] == ["a", "b", "c", "a", "a", "A-2"]
    assert [case["image"][1].rpartition("/")[2] for case in cases] == ["f.nii"] * 4 + ["other.nii", "f.nii"]
    refused = [case for case in resolve_cases(dataset_dir=data, section="training") if "refused" in case]
    assert ["its output name" in case["refused"] for case in refused] == [True, True]
    held_out = training_cases("validation", dataset_dir=data, validation_subjects=["a"])
    assert [case["case"] for case in held_out] == ["a", "a-2", "a-3"]


def test_folders_without_sections_need_a_split(tmp_path):
    for name in ("p1", "p2"):
        (tmp_path / name).mkdir()
        for file in ("t1.nii", "flair.nii", "label.nii"):
            (tmp_path / name / file).write_bytes(b"")
    with pytest.raises(InputError, match="set validation_subjects"):
        training_cases("training", dataset_dir=tmp_path)
    assert names("training", dataset_dir=tmp_path, validation_subjects=["p2"]) == ["p1"]
    assert names("validation", dataset_dir=tmp_path, validation_subjects=["p2"]) == ["p2"]


def test_real_split(data_dir):
    keys = {"dataset_dir": data_dir / "brain"}
    training, validation = names("training", **keys), names("validation", **keys)
    older, newer = ("104252", "105074", "105465"), ("104670", "106639", "107130", "112776", "111008")
    assert set(training) == {"open_ms-19", *(f"mahdi_ms5-{n}" for n in older), *(f"mahdi_ms10-{n}" for n in newer)}
    assert validation == ["open_ms-07", "mahdi_ms5-105755", "mahdi_ms10-101627", "mahdi_ms10-110218"]
    assert len(names("training", **keys, unlabelled=True)) == 16


def test_a_label_that_is_no_class_ends_a_training_before_it_begins(tmp_path, write_volume):
    items = []
    for name, values in (("a", [0, 4]), ("b", [1, 255])):
        write_volume(f"{name}.nii", np.array(values, np.uint8).reshape(2, 1, 1))
        items.append({"subject": name, "t1": "a.nii", "flair": "f.nii", "label": f"{name}.nii"})
    write_volume("moved.nii", np.zeros((2, 1, 1), np.uint8), np.diag([5.0, 1, 1, 1]))
    items.append({"subject": "c", "t1": "a.nii", "flair": "f.nii", "label": ["a.nii", "b.nii"]})  # a map and a mask
    (tmp_path / "d.json").write_text(json.dumps({"training": items, "validation": items[1:2]}))
    where = {"datalist": str(tmp_path / "d.json")}
    assert len(training_cases("training", **where)) == 3
    assert len(training_cases("training", **where, allowed_labels=[0, 1, 4, 255])) == 3
    for cases in (lambda **keys: training_cases("training", **keys), lambda **keys: evaluation_cases(**keys)):
        with pytest.raises(InputError, match=r"b.nii: value 255 in the label, expected 0, 1, 2, 3, 4"):
            cases(**where, allowed_labels=range(5))
    with pytest.raises(InputError, match=r"t1.nii: file not found"):
        (tmp_path / "d.json").write_text(json.dumps({"training": [items[0] | {"label": "t1.nii"}]}))
        training_cases("training", **where, allowed_labels=range(5))
    for other in ({"label": "moved.nii"}, {"label": ["a.nii", "moved.nii"]}, {"normal_hyperintensity": "moved.nii"}):
        (tmp_path / "d.json").write_text(json.dumps({"training": [items[0] | other]}))
        with pytest.raises(InputError, match=r"a.nii and .*moved.nii: .*; resample the label onto the image's grid"):
            training_cases("training", **where, allowed_labels=range(5))


def test_a_person_in_both_parts_is_refused_and_an_image_is_a_warning(tmp_path, caplog):
    def begin(training, validation, **keys):
        items = {"training": [training], "validation": [validation], "unlabelled_training": [extra]}
        (tmp_path / "list.json").write_text(json.dumps(items))
        return names("training", datalist=tmp_path / "list.json", **keys)

    for name in ("a1", "a2", "b1", "b2", "c2", "u1", "u2"):
        (tmp_path / f"{name}.nii").write_bytes(name.encode() * 50)
    (tmp_path / "copy.nii").write_bytes(b"b1" * 50)
    one = {"subject": "a", "t1": "a1.nii", "flair": "a2.nii", "label": "l.nii", "person": "A"}
    two = {"subject": "b", "t1": "b1.nii", "flair": "b2.nii", "label": "l.nii", "person": "B"}
    extra = {"subject": "u", "t1": "u1.nii", "flair": "u2.nii"}
    assert begin(one, two) == ["a"] and not caplog.messages
    for training in (one | {"flair": "copy.nii"}, one | {"t1": f"../{tmp_path.name}/b1.nii"}):
        assert begin(training, two) == ["a"]
        (said,) = caplog.messages
        assert f"(training) and {tmp_path / 'b1.nii'} (validation) are one image: the validation says nothing" in said
        caplog.clear()
    with pytest.raises(InputError, match="persons are in training and in validation: B; keep each in one section"):
        begin(one | {"person": "B"}, two)
    with pytest.raises(InputError, match="persons are in training and in validation: B"):
        begin(one | {"person": "B"}, two, validation_subjects=["b"])
    extra["t1"] = "b1.nii"
    assert begin(one, two) == ["a"] and not caplog.messages  # stage 2 does not see it
    assert begin(one, two, unlabelled=True) == ["a", "u"] and len(caplog.messages) == 1
    assert begin(two | {"person": ""}, two) == ["b"] and "are one image, and 1 more: " in caplog.messages[1]


def test_a_case_that_a_list_repeats_is_read_once_and_counted_each_time(tmp_path, write_volume, caplog, monkeypatch):
    image, label = (
        str(write_volume(name, np.array([1, 255], np.uint8).reshape(2, 1, 1))) for name in ("i.nii", "l.nii")
    )
    opened = []
    monkeypatch.setattr(rmr_split, "read_source", lambda path: opened.append(path) or read_source(path))
    rmr_split.check_labels([{"image": [image, image], "label": label}] * 3, [0, 1, 255])
    assert opened == [image, label]
    assert "1 voxels of label 255 are left out as not labelled, and so in 2 more" in caplog.text


def test_voxels_that_are_not_labelled_are_told(tmp_path, write_volume, caplog):
    items = []
    for name, values in (("a", [0, 4]), ("b", [255, 255]), ("c", [1, 255])):
        write_volume(f"{name}.nii", np.array(values, np.uint8).reshape(2, 1, 1))
        items.append({"subject": name, "t1": f"{name}.nii", "flair": f"{name}2.nii", "label": f"{name}.nii"})
    (tmp_path / "d.json").write_text(json.dumps({"training": items, "validation": []}))
    training_cases("training", datalist=tmp_path / "d.json", allowed_labels=[*range(5), 255])
    said = f"{tmp_path / 'b.nii'}: 2 voxels of label 255 are left out as not labelled, and so in 1 more; "
    assert caplog.messages == [f"{said}set ignore_label to None to refuse them"]
    with pytest.raises(InputError, match=r"b.nii: value 255 in the label, expected 0, 1, 2, 3, 4"):
        training_cases("training", datalist=tmp_path / "d.json", allowed_labels=range(5))
