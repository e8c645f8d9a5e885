"""What a user names, and the list of T1 + FLAIR cases that comes of it."""

import json
import os
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from shared_networks.data import ModalityCases, resolve_cases, resolve_pairs
from shared_networks.errors import InputError


def names(cases):
    return [case["case"] for case in cases if "refused" not in case]


def relative(case, root):
    return [str(Path(path).relative_to(root)) for path in case["image"]]


@pytest.mark.parametrize(
    ("t1", "case"),
    [("p7/t1.nii.gz", "p7"), ("x/Sub-01_T1.nii", "Sub-01"), ("x/brain.nii.gz", "brain"), ("p8/reg_T1.nii.gz", "reg")],
)
def test_two_files_are_named_by_what_tells_them_apart(touch, t1, case):
    root = touch(t1)
    cases = resolve_cases(first=root / t1, second=str(root / "flair.nii.gz"))
    image = [str(root / t1), str(root / "flair.nii.gz")]
    assert cases == [{"case": case, "image": image, "subject": case, "section": ""}]


def test_nothing_given_is_an_empty_list_and_a_config_with_it_parses():
    assert resolve_cases() == [] == list(ModalityCases(first=None))
    config = {
        "t1": "",
        "cases": {"_target_": "shared_networks.data.ModalityCases", "first": "@t1", "section": "test"},
        "dataset": {"_target_": "Dataset", "data": "@cases"},
    }
    assert len(ConfigParser(config).get_parsed_content("dataset")) == 0


def test_the_list_is_made_when_it_is_used(tmp_path):
    cases = ModalityCases(dataset_dir=tmp_path / "later")
    (tmp_path / "later" / "p1").mkdir(parents=True)
    for name in ("t1.nii", "flair.nii"):
        (tmp_path / "later" / "p1" / name).write_bytes(b"")
    assert len(cases) == 1 and cases[0]["case"] == "p1" and [case["case"] for case in cases] == ["p1"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"first": "a", "datalist": "b"}, "t1 and flair, datalist were given together: set only one of them"),
        ({"datalist": "a", "dataset_dir": "b"}, "datalist, dataset_dir were given together"),
        ({"first": "a"}, "only t1 was given: set both t1 and flair"),
        ({"second": "a"}, "only flair was given: set both"),
        ({"second": "a", "modalities": ("t2", "adc")}, "only adc was given: set both t2 and adc"),
        ({"datalist": "none.json"}, "none.json: not found"),
        ({"dataset_dir": "none"}, "none: not found; dataset_dir must be a folder"),
    ],
)
def test_keys_that_do_not_go_together(keys, message):
    with pytest.raises(InputError, match=message):
        resolve_cases(**keys)


def test_one_modality_is_enough_when_allowed(tmp_path, touch):
    assert resolve_cases("a/p1_t1.nii.gz", allow_missing=True) == [
        {"case": "p1", "image": ["a/p1_t1.nii.gz", ""], "subject": "p1", "section": ""}
    ]
    (case,) = resolve_cases(second="a/p2-FLAIR.nii.gz", allow_missing=True)
    assert case["case"] == "p2" and case["image"] == ["", "a/p2-FLAIR.nii.gz"]
    assert resolve_cases(allow_missing=True) == []

    datalist = tmp_path / "list.json"
    items = [{"t1": "x.nii"}, {"flair": "y.nii", "t1": None}, {"image": ["", "z.nii"], "subject": "s"}]
    datalist.write_text(json.dumps(items))
    cases = resolve_cases(datalist=str(datalist), allow_missing=True)
    assert [case["image"] for case in cases] == [
        [str(tmp_path / "x.nii"), ""],
        ["", str(tmp_path / "y.nii")],
        ["", str(tmp_path / "z.nii")],
    ]
    assert all("every item must hold the paths t1 and flair" in c["refused"] for c in resolve_cases(datalist=datalist))
    datalist.write_text(
        json.dumps([{"image": ["x.nii", "y.nii"], "t1": name, "flair": "y.nii"} for name in ("x.nii", "a")])
    )
    same, other = resolve_cases(datalist=datalist)
    assert "refused" not in same and same["image"] == [str(tmp_path / name) for name in ("x.nii", "y.nii")]
    assert "an item names its images twice, by image and by t1 and flair; keep one" in other["refused"]
    datalist.write_text(json.dumps([{"t1": ""}]))
    (case,) = resolve_cases(datalist=str(datalist), allow_missing=True)
    assert "every item must hold the paths" in case["refused"]

    touch("data/p1/flair.nii.gz")
    (case,) = resolve_cases(dataset_dir=str(tmp_path / "data"))
    assert "no t1 in it" in case["refused"]
    (case,) = resolve_cases(dataset_dir=str(tmp_path / "data"), allow_missing=True)
    assert "refused" not in case and case["image"] == ["", str(tmp_path / "data" / "p1" / "flair.nii.gz")]


def test_datalist_of_a_data_set(tmp_path):
    items = [{"subject": f"s{n}", "t1": f"s{n}/t1.nii", "flair": f"s{n}/flair.nii", "label": "l.nii"} for n in range(3)]
    unlabelled = {"t1": "u/t1.nii", "flair": "u/flair.nii", "shape": [1, 2, 3]}
    content = {"name": "x", "labels": {"0": "background"}, "modality": {"0": "T1"}, "training": items[:2]}
    content |= {"validation": items[2:], "unlabelled_training": [unlabelled]}
    path = tmp_path / "datalist.json"
    path.write_text(json.dumps(content))
    assert names(resolve_cases(datalist=path)) == ["s0", "s1", "s2", "u"]
    assert names(resolve_cases(dataset_dir=tmp_path, section="train")) == ["s0", "s1"]
    assert names(resolve_cases(datalist=path, section=["training", "unlabelled_training"])) == ["s0", "s1", "u"]
    case = resolve_cases(datalist=path, section="validation")[0]
    assert relative(case, tmp_path) == ["s2/t1.nii", "s2/flair.nii"]
    assert case["label"] == str(tmp_path / "l.nii") and case["section"] == "validation"
    assert "label" not in resolve_cases(datalist=path, section="unlabelled_training")[0]
    with pytest.raises(InputError, match="no section test; there is training, validation, unlabelled_training"):
        resolve_cases(datalist=path, section="test")


def test_decathlon_items_and_plain_lists(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(
        json.dumps({"training": [], "test": [{"image": ["a_T1.nii", "b.nii"], "label": ["z.nii", "t.nii"]}]})
    )
    case = resolve_cases(datalist=path)[0]
    assert case["case"] == "a" and case["label"] == [str(tmp_path / "z.nii"), str(tmp_path / "t.nii")]
    path.write_text(json.dumps([{"t2": "p/t2.nii", "adc": "p/adc.nii"}]))
    assert names(resolve_cases(datalist=path, modalities=("t2", "adc"), section="validation")) == ["p"]


def test_a_stacked_volume_is_refused_with_a_remedy(tmp_path):
    """The Medical Segmentation Decathlon has all modalities in one file; its test items are texts."""
    path = tmp_path / "dataset.json"
    path.write_text(
        json.dumps({"test": ["./imagesTs/b_1.nii.gz", {"image": "./imagesTs/b_2.nii.gz", "subject": "b2"}]})
    )
    cases = resolve_cases(datalist=path)
    assert [case["case"] for case in cases] == ["item_1", "b2"]
    assert cases[0]["refused"] == (
        f"{path}: one image, ./imagesTs/b_1.nii.gz; expected one file for each of t1 and flair: split it."
    )


@pytest.mark.skipif(os.sep == "\\", reason="a backslash separates there")
def test_paths_of_windows_are_taken_where_no_file_has_such_a_name(tmp_path, touch):
    touch("sub/t1.nii")
    touch("sub/flair.nii")
    item = {"t1": "sub\\t1.nii", "flair": ".\\sub\\flair.nii", "label": "sub\\l.nii"}
    (tmp_path / "d.json").write_text(json.dumps([item]))
    (tmp_path / "train.csv").write_text("ID,t1,flair\n1,sub\\t1.nii,sub\\flair.nii\n")
    for given in ({"datalist": tmp_path / "d.json"}, {"dataset_dir": tmp_path}):
        (case,) = resolve_cases(**given)
        assert [Path(name) for name in case["image"]] == [tmp_path / "sub" / "t1.nii", tmp_path / "sub" / "flair.nii"]
    assert resolve_cases(datalist=tmp_path / "d.json")[0]["label"] == str(tmp_path / "sub/l.nii")
    (tmp_path / "single.json").write_text(
        '[{"t1": "sub\\t1.nii", "flair": ".\\\\sub\\flair.nii"}]'
    )  # a tab, a form feed
    assert resolve_cases(datalist=tmp_path / "single.json")[0]["image"] == case["image"]
    (tmp_path / "sub\\t1.nii").touch()
    assert resolve_cases(datalist=tmp_path / "d.json")[0]["image"][0] == str(tmp_path / "sub\\t1.nii")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable JSON file"),
        ("", "not a readable JSON file"),
        ("[" * 100_000, "not a readable JSON file"),
        ("3", "expected an object with lists"),
        (None, "d.json: a folder; give it as dataset_dir"),
        ('{"training": []}', "no cases found"),
        ("{}", "expected lists training, validation or test in it, got nothing"),
        ('{"cases": [], "Test2": []}', 'in it, got "cases", "Test2"'),
    ],
)
def test_datalists_that_are_none(tmp_path, text, message):
    path = tmp_path / "d.json"
    path.mkdir() if text is None else path.write_text(text)
    with pytest.raises(InputError, match=message):
        resolve_cases(datalist=path)


def test_folders_of_cases(touch):
    root = touch(
        "b/T1.nii.gz", "b/FLAIR.nii.gz", "b/label.nii.gz", "a/t1w.nii", "a/flair.nii.gz", ".c/t1.nii",
        "notes/readme.txt", "d/flair.nii.gz", "series/t1/1.dcm", "series/flair/1.dcm",
    )  # fmt: skip
    cases = resolve_cases(dataset_dir=root)
    assert names(cases) == ["a", "b", "series"]
    assert relative(cases[1], root) == ["b/T1.nii.gz", "b/FLAIR.nii.gz"]
    assert cases[1]["label"] == str(root / "b/label.nii.gz") and "label" not in cases[0]
    refused = next(case for case in cases if "refused" in case)
    assert refused["case"] == "d" and refused["refused"] == f"{root / 'd'}: no t1 in it; expected t1 and flair."
    assert names(resolve_cases(dataset_dir=root / "b")) == ["b"]


def test_layout_of_mrbrains(touch):
    root = touch(
        "training/1/pre/reg_T1.nii.gz", "training/1/pre/T1.nii.gz", "training/1/pre/FLAIR.nii.gz",
        "training/1/segm.nii.gz", "training/1/orig/T1.nii.gz", "training/4/pre/T1.nii.gz",
        "training/4/pre/FLAIR.nii.gz", "training/4/segm.nii.gz", "test/9/pre/T1.nii.gz", "test/9/pre/FLAIR.nii.gz",
    )  # fmt: skip
    cases = resolve_cases(dataset_dir=root, section="training")
    assert names(cases) == ["1", "4"]
    assert relative(cases[0], root) == ["training/1/pre/reg_T1.nii.gz", "training/1/pre/FLAIR.nii.gz"]
    assert relative(cases[1], root) == ["training/4/pre/T1.nii.gz", "training/4/pre/FLAIR.nii.gz"]
    assert cases[1]["label"] == str(root / "training/4/segm.nii.gz")
    assert names(resolve_cases(dataset_dir=root)) == ["9"]


def test_layout_of_prostate158(tmp_path):
    train, test = tmp_path / "prostate158_train", tmp_path / "prostate158_test"
    header = "ID,t2,adc,dwi,t2_anatomy_reader1,adc_tumor_reader1\n"
    for folder, table, rows in (
        (
            train,
            "train",
            "24,train/024/t2.nii.gz,train/024/adc.nii.gz,x,train/024/zones.nii.gz,train/024/tumor.nii.gz\n",
        ),
        (train, "valid", "3,train/003/t2.nii.gz,train/003/adc.nii.gz,x,train/003/zones.nii.gz,\n"),
        (test, "test", "1,test/001/t2.nii.gz,test/001/adc.nii.gz,x,,\n"),
    ):
        folder.mkdir(exist_ok=True)
        (folder / f"{table}.csv").write_text(header + rows)
    keys = {"modalities": ("t2", "adc")}
    case = resolve_cases(dataset_dir=tmp_path, section="training", **keys)[0]
    assert case["case"] == "24" and relative(case, train) == ["train/024/t2.nii.gz", "train/024/adc.nii.gz"]
    assert case["label"] == [str(train / "train/024/zones.nii.gz"), str(train / "train/024/tumor.nii.gz")]
    assert resolve_cases(dataset_dir=train, section="validation", **keys)[0]["label"].endswith("003/zones.nii.gz")
    assert "label" not in resolve_cases(dataset_dir=tmp_path, **keys)[0]
    cases = resolve_cases(dataset_dir=train)
    assert [case["case"] for case in cases] == ["24", "3"]
    assert cases[0]["refused"] == f"{train / 'train.csv'}: row 1 has no t1; expected columns t1, flair."


def test_names_that_are_taken_are_refused(tmp_path):
    path = tmp_path / "d.json"
    path.write_text(
        json.dumps([{"subject": s, "t1": f"{n}.nii", "flair": "f.nii"} for n, s in enumerate(("A", "a", "../b"))])
    )
    cases = resolve_cases(datalist=path)
    assert [case["case"] for case in cases] == ["A", "a", "_b"]
    assert f"its output name a is that of {tmp_path / '0.nii'}" in cases[1]["refused"]


def test_folder_without_cases(touch):
    with pytest.raises(InputError, match=r"no folder with t1\.nii\.gz and flair\.nii\.gz"):
        resolve_cases(dataset_dir=touch("a/b/c/t1.nii.gz"))


def test_real_data(data_dir):
    brain = data_dir / "brain"
    cases = resolve_cases(dataset_dir=brain)
    assert len(cases) == 20
    assert names(resolve_cases(dataset_dir=brain, section="validation")) == [
        "open_ms-07",
        "mahdi_ms5-105755",
        "mahdi_ms10-101627",
        "mahdi_ms10-110218",
    ]
    # The masks of normal hyperintensities, an auxiliary class of the training.
    marked = [case for case in cases if "normal_hyperintensity" in case]
    assert len(marked) == 4 and all(Path(case["normal_hyperintensity"]).is_file() for case in marked)
    sample = resolve_cases(dataset_dir=data_dir / "sample_t1_flair")
    assert names(sample) == ["sample_t1_flair"] and Path(sample[0]["label"]).is_file()
    for case in resolve_cases(dataset_dir=data_dir / "prostate", modalities=("t2", "adc")):
        assert all(Path(path).is_file() for path in [*case["image"], case["label"]])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize(
    ("section", "table"),
    [
        ("test", "ID,t1,flair\nü,a.nii,b.nii\n"),
        ("Test", "id;T1; Flair\nü;a.nii;b.nii\n"),
        ("TESTING", "Id\tt1\tFLAIR\nü\ta.nii\tb.nii\n"),
        (" test ", "subject,flair,t1\nü, b.nii,a.nii,more\n"),
    ],
)
def test_lists_in_the_encodings_of_windows_and_sections_in_any_case(tmp_path, encoding, section, table):
    path = tmp_path / "d.json"
    path.write_text(json.dumps({section: [{"t1": "ä.nii", "flair": "f.nii"}]}, ensure_ascii=False), encoding=encoding)
    (case,) = resolve_cases(datalist=path)
    assert case["section"] == "test" and case["image"][0] == str(tmp_path / "ä.nii")
    (tmp_path / "test.csv").write_text(table, encoding=encoding)
    path.unlink()
    (case,) = resolve_cases(dataset_dir=tmp_path)
    assert case["case"] == "ü" and relative(case, tmp_path) == ["a.nii", "b.nii"]


def test_another_encoding_is_one_line(tmp_path):
    path = tmp_path / "d.json"
    path.write_text('{"test": [{"t1": "ä.nii", "flair": "f.nii"}]}', encoding="latin-1")
    with pytest.raises(InputError, match=r"d.json: not a readable JSON file .*save it in UTF-8"):
        resolve_cases(datalist=path)


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"t1": "a"}, "item_2"),
        ({"image": ["a"], "subject": "s"}, "s"),
        ("a", "item_2"),
        (None, "item_2"),
        ([], "item_2"),
        ({"t1": 1, "flair": 2, "subject": 3}, "item_2"),
        ({"t1": "a", "flair": "b", "label": 7, "case": "c"}, "c"),
        ({"t1": "a", "flair": "b", "label": [7], "subject": "d"}, "d"),
        ({"t1": "a", "flair": "b", "label": ["l", "m", "n"], "subject": "e"}, "e"),
    ],
)
def test_a_bad_item_does_not_end_the_batch(tmp_path, item, name):
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{"t1": "x", "flair": "y"}, item, {"t1": "z", "flair": "z"}]))
    cases = resolve_cases(datalist=path)
    assert [case["case"] for case in cases] == ["x", name, "z"]
    assert ["refused" in case for case in cases] == [False, True, False]
    assert cases[1]["refused"].startswith(f"{path}: ") and "\n" not in cases[1]["refused"]


def test_names_in_lists_as_people_write_them(tmp_path, touch, monkeypatch):
    """Keys in capitals; blanks around a path; ~ for the home folder, unless a file is called so."""
    root = touch("home/a/t1.nii", "home/a/flair.nii")
    monkeypatch.setenv("HOME", str(root / "home"))
    monkeypatch.setenv("USERPROFILE", str(root / "home"))
    path = tmp_path / "d.json"
    item = {"T1": "~/a/t1.nii", "Flair": " home/a/flair.nii\n", "Subject": "s"}
    path.write_text(json.dumps([item]))
    (case,) = resolve_cases(datalist=path)
    assert [str(Path(name).resolve()) for name in case["image"]] == [
        str((root / "home" / "a" / f"{name}.nii").resolve()) for name in ("t1", "flair")
    ]
    assert case["subject"] == "s"
    touch("~/a/t1.nii")
    (case,) = resolve_cases(datalist=path)
    assert case["image"][0] == str(tmp_path / "~/a/t1.nii")
    path.write_text(json.dumps([{"t1": "x" * 5000, "flair": "y"}]))
    assert resolve_cases(datalist=path)[0]["image"] == [str(tmp_path / ("x" * 5000)), str(tmp_path / "y")]


def test_a_section_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "d.json"
    path.write_text('{"test": [{"t1": "a", "flair": "b"}], "test": [{"t1": "c", "flair": "d"}]}')
    with pytest.raises(InputError, match=r'd.json: "test" stands twice in one object; make one list of the two'):
        resolve_cases(datalist=path)


@pytest.mark.parametrize(
    ("item", "doubled"),
    [
        ('"T1": "a", "t1": "b", "flair": "c", "name": "n"', '"t1"'),
        ('"t1": "a", "FLAIR": "b", "flair": "c", "name": "n"', '"flair"'),
        ('"t1": "a", "t1": "b", "flair": "c", "name": "n"', '"t1"'),
        ('"mri": "a", "MRI": "b", "other": "c", "name": "n"', '"mri"'),
        ('"mri": "a", "other": "b", "other": "c", "name": "n"', '"other"'),
    ],
)
def test_an_item_with_two_values_for_one_key_is_refused_and_the_rest_done(tmp_path, item, doubled):
    path = tmp_path / "d.json"
    good = '"T1": "a", "t1": "a", "flair": "b", "mri": "a", "other": "b", "subject": "s", "name": "s"'
    good = f'{{{good}, "name": "s", "age": NaN, "refused": 1}}'
    path.write_text(f'{{"test": [{{{item}}}, {good}]}}')
    resolve = resolve_pairs if "mri" in item else resolve_cases
    bad, fine = resolve(datalist=path)
    assert bad["refused"] == f"{path}: an item gives {doubled} several values; keep one of them."
    assert (bad["case"], fine["case"]) == ("n", "s") and "refused" not in fine
    assert fine["image"] == [str(tmp_path / name) for name in "ab"]


def test_a_table_with_two_columns_of_one_name_is_refused(tmp_path):
    (tmp_path / "test.csv").write_text("ID,t1, T1,flair\n1,a,b,c\n")
    with pytest.raises(InputError, match=r"test.csv: two columns are named t1; keep one of them."):
        resolve_cases(dataset_dir=tmp_path)


@pytest.mark.parametrize("name", ["t1", "label"])
def test_two_volumes_of_one_name_in_a_folder_are_refused(touch, name):
    root = touch("a/t1.nii.gz", "a/flair.nii.gz", "a/label.nii.gz", f"a/{name}.nii")
    (case,) = resolve_cases(dataset_dir=root)
    assert case["refused"] == f"{root}/a/{name}.nii and {name}.nii.gz: two images of one kind; keep one of them."


def test_t1_and_t1w_in_one_folder_are_refused(touch):
    """Nothing says which of the two is meant; a registered one beside the original is."""
    root = touch("a/T1.nii.gz", "a/T1w.nii.gz", "a/FLAIR.nii.gz", "b/pre/T1.nii", "b/pre/reg_T1.nii", "b/pre/FLAIR.nii")
    first, second = resolve_cases(dataset_dir=root)
    assert first["refused"] == f"{root}/a/T1.nii.gz and T1w.nii.gz: two images of one kind; keep one of them."
    assert Path(second["image"][0]).name == "reg_T1.nii" and "refused" not in second
