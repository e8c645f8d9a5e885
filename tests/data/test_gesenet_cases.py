"""What a user names, and the list of pairs that comes of it."""

import json

import pytest

from shared_networks.data import FusionPairs, resolve_pairs
from shared_networks.errors import InputError


def names(pairs):
    return [pair["case"] for pair in pairs if "refused" not in pair]


def refusals(pairs):
    return {pair["case"]: pair["refused"] for pair in pairs if "refused" in pair}


def test_two_files(touch):
    root = touch("a/flair.nii.gz", "b/pet.nii.gz")
    pairs = resolve_pairs(mri=root / "a/flair.nii.gz", other=str(root / "b/pet.nii.gz"))
    image = [str(root / "a/flair.nii.gz"), str(root / "b/pet.nii.gz")]
    assert pairs == [{"case": "flair", "modality": "", "patient": "", "image": image}]


def test_two_folders_are_paired_by_name_whatever_the_type(touch):
    root = touch("m/1.png", "m/2.tif", "m/10.png", "m/.hidden.png", "m/notes.txt", "o/1.png", "o/2.png", "o/10.bmp")
    pairs = resolve_pairs(mri=root / "m", other=root / "o")
    assert names(pairs) == ["1", "10", "2"] and not refusals(pairs)
    assert pairs[2]["image"] == [str(root / "m/2.tif"), str(root / "o/2.png")]


def test_missing_partner_and_doubled_names_are_refused_alone(touch):
    root = touch("m/1.png", "m/2.png", "m/4.png", "m/4.tif", "o/1.png", "o/3.png", "o/4.png")
    pairs = resolve_pairs(mri=root / "m", other=root / "o")
    assert names(pairs) == ["1"]
    reasons = refusals(pairs)
    assert reasons["2"] == f"{root / 'm/2.png'}: no partner in {root / 'o'}; expected an image named 2 there."
    assert reasons["3"] == f"{root / 'o/3.png'}: no partner in {root / 'm'}; expected an image named 3 there."
    assert "two images of one name" in reasons["4"]


def test_series_folders_count_as_images(touch):
    root = touch("m/p1/1.dcm", "m/p2/1.dcm", "o/p1/1.dcm", "o/p2.nii.gz")
    assert names(resolve_pairs(mri=root / "m", other=root / "o")) == ["p1", "p2"]
    pairs = resolve_pairs(mri=root / "m/p1", other=root / "o/p1")
    assert names(pairs) == ["p1"] and pairs[0]["image"] == [str(root / "m/p1"), str(root / "o/p1")]


@pytest.mark.parametrize("section", ["test", "testing", ""])
def test_datalist_and_its_test_section(touch, section):
    root = touch("l/x.png")
    content = {
        "name": "mine",
        "training": [{"mri": "m/3.png", "other": "o/3.png"}],
        "testing": [
            {"mri": "m/2001.png", "other": "o/2001.png", "modality": "PET", "case": "2"},
            {"mri": "p7/t1.nii.gz", "other": "/abs/pet.nii.gz", "modality": "PET", "case": "p7"},
            {"mri": "p8/t1.nii.gz", "other": "p8/pet.nii.gz", "name": "my patient"},
        ],
    }
    (root / "l" / "datalist.json").write_text(json.dumps(content))
    pairs = resolve_pairs(datalist=root / "l" / "datalist.json", section=section)
    assert names(pairs) == ["PET_2001", "PET_p7_t1", "my_patient"]
    assert pairs[0]["image"] == [str(root / "l/m/2001.png"), str(root / "l/o/2001.png")]
    assert pairs[1]["image"][1] == "/abs/pet.nii.gz"
    assert (pairs[1]["modality"], pairs[1]["patient"]) == ("PET", "p7")
    assert resolve_pairs(dataset_dir=root / "l", section=section) == pairs
    assert names(resolve_pairs(datalist=root / "l" / "datalist.json", section="training")) == ["3"]
    with pytest.raises(InputError, match="no section 'validation'; there is training, test"):
        resolve_pairs(datalist=root / "l" / "datalist.json", section="validation")


def test_datalist_may_be_a_list_or_without_test_section(touch):
    root = touch("x.png")
    items = [{"mri": "1.png", "other": "2.png"}]
    (root / "list.json").write_text(json.dumps(items))
    assert names(resolve_pairs(datalist=root / "list.json", section="training")) == ["1"]
    (root / "parts.json").write_text(json.dumps({"training": items, "val": [{"mri": "5.png", "other": "6.png"}]}))
    assert names(resolve_pairs(datalist=root / "parts.json")) == ["1", "5"]


def test_taken_output_names_are_refused(touch):
    root = touch("x.png")
    items = [{"mri": f"{folder}/t1.png", "other": "o.png"} for folder in ("a", "b")]
    items.append({"mri": "c/T1.png", "other": "o.png"})
    (root / "list.json").write_text(json.dumps(items))
    pairs = resolve_pairs(datalist=root / "list.json")
    assert names(pairs) == ["t1"]
    assert [pair["refused"].endswith(f"is that of {root / 'a/t1.png'}; rename one of them.") for pair in pairs[1:]] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("files", "section", "expected"),
    [
        (["mri/1.png", "other/1.png"], "", ["1"]),
        (["mri/1.png", "other/1.png"], "training", ["1"]),
        (["CT/mri/1.png", "CT/other/1.png", "PET/mri/1.png", "PET/other/1.png"], "", ["CT_1", "PET_1"]),
        (["CT/train/mri/1.png", "CT/train/other/1.png", "CT/test/mri/2.png", "CT/test/other/2.png"], "", ["CT_2"]),
        (
            ["CT/train/mri/1.png", "CT/train/other/1.png", "CT/test/mri/2.png", "CT/test/other/2.png"],
            "training",
            ["CT_1"],
        ),
        (["train/mri/1.png", "train/other/1.png"], "", ["1"]),
        (["Mri/1.png", "Other/1.png"], "", ["1"]),
        (["PET-MRI/MRI/1.png", "PET-MRI/PET/1.png", "CT-MRI/mri/1.png", "CT-MRI/Ct/1.png"], "", ["CT_1", "PET_1"]),
        (["Test/MRI/1.png", "Test/SPECT/1.png", "Test/ct/1.png", "Train/MRI/2.png"], "", ["SPECT_1", "CT_1"]),
    ],
)
def test_dataset_dir_layouts(touch, files, section, expected):
    assert names(resolve_pairs(dataset_dir=touch(*files), section=section)) == expected


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "no images given: set mri and other .*, datalist, or dataset_dir"),
        ({"mri": "a"}, "only mri was given"),
        ({"other": "a"}, "only other was given"),
        ({"mri": "a", "other": "b", "datalist": "c"}, "mri and other, datalist were given together"),
        ({"datalist": "c", "dataset_dir": "d"}, "datalist, dataset_dir were given together"),
        ({"mri": "none.png", "other": "1.png"}, "none.png: not found; mri must be a file or a folder"),
        ({"mri": "m", "other": "m/1.png"}, "one is a folder of images, the other one image"),
        ({"mri": "empty", "other": "empty"}, "no pairs found"),
        ({"datalist": "none.json"}, "none.json: not found"),
        ({"datalist": "bad.json"}, "not a readable JSON file"),
        ({"datalist": "number.json"}, "expected an object"),
        ({"dataset_dir": "nowhere"}, "nowhere: not found"),
        ({"dataset_dir": "m"}, "neither a datalist.json nor folders mri and other"),
    ],
)
def test_what_names_no_pairs_is_refused_in_one_line(touch, monkeypatch, keys, message):
    root = touch("m/1.png", "1.png")
    (root / "empty").mkdir()
    (root / "bad.json").write_text("{")
    (root / "number.json").write_text("3")
    monkeypatch.chdir(root)
    with pytest.raises(InputError, match=message):
        resolve_pairs(**keys)


def test_the_list_waits_until_it_is_used(touch):
    pairs = FusionPairs()
    with pytest.raises(InputError, match="no images given"):
        len(pairs)
    root = touch("m/1.png", "m/2.png", "o/1.png", "o/2.png")
    pairs = FusionPairs(mri=str(root / "m"), other=str(root / "o"))
    assert len(pairs) == 2 and pairs[1]["case"] == "2" and [pair["case"] for pair in pairs] == ["1", "2"]


def test_real_data(data_dir):
    test = resolve_pairs(dataset_dir=data_dir / "harvard")
    assert len(test) == 53 + 46 + 46 and not refusals(test) and len(set(names(test))) == len(test)
    training = resolve_pairs(datalist=data_dir / "harvard" / "datalist.json", section="training")
    assert len(training) == 90 + 176 + 223 and not refusals(training)
    assert len(resolve_pairs(dataset_dir=data_dir / "harvard_benchmark")) == 21 + 42 + 73


def test_one_of_several_series_in_one_folder(touch):
    folder = touch("study/1.dcm", "study/2.dcm") / "study"
    (pair,) = resolve_pairs(mri=f"{folder}#1", other=f"{folder}#2")
    assert pair["image"] == [f"{folder}#1", f"{folder}#2"]
    with pytest.raises(InputError, match=r"nowhere#2: not found"):
        resolve_pairs(mri=f"{folder}#1", other=f"{folder.parent}/nowhere#2")


def test_a_bad_item_does_not_end_the_batch(tmp_path):
    items = [{"mri": "a.png", "other": "b.png"}, {"mri": "c.png"}, "d.png", {"mri": 1, "other": "", "name": "e"}]
    (tmp_path / "d.json").write_text(json.dumps({"test": items}))
    pairs = resolve_pairs(datalist=tmp_path / "d.json")
    assert names(pairs) == ["a"]
    assert list(refusals(pairs)) == ["item_2", "item_3", "e"]
    assert refusals(pairs)["item_2"] == (
        f'{tmp_path / "d.json"}: every item must hold the paths mri and other, got {{"mri": "c.png"}}.'
    )
