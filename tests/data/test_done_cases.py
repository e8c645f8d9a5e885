"""Done is what was made of the same images, weights and settings, and is still there."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser

from shared_networks.clinical import PreparePair
from shared_networks.data import DoneCases, FusionDataset
from shared_networks.io.content_hash import files_hash
from shared_networks.transforms import LoadModalitiesd
from shared_networks.utils.hashing import weights_entry


@pytest.fixture
def case(tmp_path):
    """An item, and the function (keys of DoneCases) -> what it says of the item."""
    (tmp_path / "weights.pt").write_bytes(b"weights")
    for name in "ab":
        (tmp_path / name).write_text(name)
    item = {"case": "p/1", "image": [str(tmp_path / "a"), str(tmp_path / "b")]}

    def identify(**keys):
        given = {"output_dir": tmp_path / "out", "checkpoint": tmp_path / "weights.pt", "settings": "s"} | keys
        return DoneCases(**given).identify(item)

    return item, identify


@pytest.fixture
def done(case, tmp_path):
    """The same, with results."""
    folder = tmp_path / "out" / "p_1"
    folder.mkdir(parents=True)
    report = {"fingerprint": case[1]()["fingerprint"], "files": ["p_1_fused.png", "p_1_report.json"], "warnings": ""}
    (folder / "p_1_fused.png").write_bytes(b"")
    (folder / "p_1_report.json").write_text(json.dumps(report))
    return case


def test_what_was_made_of_the_same_things_is_done(case, done):
    assert case[1]()["skipped"].startswith("done before with the same images, weights and settings")


CHANGES = {
    "image": lambda folder: (folder / "b").write_text("c"),
    "weights": lambda folder: (folder / "weights.pt").write_bytes(b"others"),
    "file gone": lambda folder: (folder / "out" / "p_1" / "p_1_fused.png").unlink(),
    "report gone": lambda folder: (folder / "out" / "p_1" / "p_1_report.json").unlink(),
    "report broken": lambda folder: (folder / "out" / "p_1" / "p_1_report.json").write_text("{"),
    "report of another kind": lambda folder: (folder / "out" / "p_1" / "p_1_report.json").write_text("[]"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_done_again(done, tmp_path, change):
    CHANGES[change](tmp_path)
    assert done[1]().keys() == {"inputs_sha256", "fingerprint"}


@pytest.mark.parametrize("keys", [{"settings": "t"}, {"skip": False}, {"output_dir": ""}, {"settings": ""}], ids=str)
def test_other_settings_and_the_switch_do_it_again(done, keys):
    assert "skipped" not in done[1](**keys)


def test_another_version_of_the_package_does_it_again(done, monkeypatch):
    monkeypatch.setattr("shared_networks.__version__", "9.9.9")
    assert done[1]().keys() == {"inputs_sha256", "fingerprint"}


def test_swapped_images_and_other_names_are_other_cases(done):
    item, identify = done
    prints = {identify()["fingerprint"]}
    item["image"] = item["image"][::-1]
    prints.add(identify()["fingerprint"])
    item["case"] = "p 1"  # the same folder
    prints.add(identify()["fingerprint"])
    assert len(prints) == 3 and "skipped" not in identify()


def test_remarks_of_then_are_told_and_unreadable_images_are_the_loaders(done, tmp_path):
    path = tmp_path / "out" / "p_1" / "p_1_report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"warnings": "looks swapped"}))
    assert done[1]()["skipped"].endswith("; remarks then: looks swapped")
    (tmp_path / "a").unlink()
    assert done[1]() == {}


def test_a_done_case_is_not_loaded(done, tmp_path):
    def load(item):
        return {**item, "loaded": True}

    cases = DoneCases(tmp_path / "out", tmp_path / "weights.pt", "s")
    dataset = FusionDataset([done[0], {**done[0], "case": "q"}, {**done[0], "refused": "a reason"}], load, cases)
    assert dataset[0].keys() == {"case", "skipped", "inputs_sha256", "fingerprint"}
    assert dataset[1]["loaded"] and dataset[1]["fingerprint"] != dataset[0]["fingerprint"]
    assert "fingerprint" not in dataset[2]


def test_hashes_are_of_contents(tmp_path):
    for folder, text in (("x", "1"), ("y", "1"), ("z", "2")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "slice.dcm").write_text(text)
    series = {name: files_hash([tmp_path / name]) for name in "xyz"}
    assert series["x"] == series["y"] != series["z"]
    assert files_hash([tmp_path / "x" / "slice.dcm"]) != series["x"]
    assert files_hash([tmp_path / "x", tmp_path / "z"]) != files_hash([tmp_path / "z", tmp_path / "x"])
    large = tmp_path / "large"
    large.write_bytes(bytes(3 * 2**20 + 1))
    assert weights_entry(large) == {"file": "large", "sha256": hashlib.sha256(bytes(3 * 2**20 + 1)).hexdigest()}
    assert weights_entry("") == {} == weights_entry(tmp_path / "none.pt")


CONFIG = {
    "width": 3,
    "place": "here",
    "unused": 1,
    "network_def": {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": "@width", "kernel_size": 1},
    "writer": {"to": "$@place + '/'", "scale": "@network_def#out_channels"},
    "hash": {
        "_target_": "shared_networks.runner.settings_hash",
        "parts": ["writer", "network_def"],
        "without": ["place"],
    },
}


def hash_with(**changes):
    parser = ConfigParser(json.loads(json.dumps(CONFIG)))
    parser.update(changes)
    return parser.get_parsed_content("hash")


def test_settings_are_hashed_with_what_they_refer_to_and_without_places():
    plain = hash_with()
    assert len(plain) == 64
    assert hash_with(place="there") == hash_with(unused=2) == plain
    changes = ({"width": 4}, {"network_def#bias": False}, {"writer#to": "$@place"})
    assert len({plain, *(hash_with(**change) for change in changes)}) == 4


@pytest.fixture
def volumes(tmp_path):
    """A pair with a mask beside it, each volume of two files."""
    random = np.random.default_rng(0)
    for name in ("a_t1", "a_flair", "mask"):
        values = np.pad(random.integers(1, 99, (6, 6, 6)), 2).astype(np.int16)
        nib.save(nib.Nifti1Pair(values, np.eye(4)), tmp_path / f"{name}.hdr")
    return tmp_path


@pytest.mark.parametrize("given", ["both", "one", "one modality"])
@pytest.mark.parametrize("mask", ["mask.hdr", "absolute"])
def test_every_file_of_a_result_counts(volumes, given, mask):
    """Header and voxels of both images, of the one that is found beside the other, and of the mask."""
    prepare = PreparePair(brain_mask=mask if mask == "mask.hdr" else str(volumes / "mask.hdr"))
    loader = LoadModalitiesd(prepare=prepare, allow_missing=True)
    first, second = (str(volumes / f"a_{name}.hdr") for name in ("t1", "flair"))
    image = {"both": [first, second], "one": first, "one modality": [first, ""]}[given]
    done = DoneCases(output_dir="out", settings="s", files=loader.depends_on)
    prints = [done.identify({"case": "a", "image": image})["fingerprint"]]
    names = ["a_t1", "mask"] + ([] if given == "one modality" else ["a_flair"])
    for name in names:
        for ending in ("hdr", "img"):
            with (volumes / f"{name}.{ending}").open("ab") as stream:
                stream.write(b"x")
            prints.append(done.identify({"case": "a", "image": image})["fingerprint"])
    assert len(set(prints)) == 1 + 2 * len(names)
    (volumes / "mask.img").unlink()
    (volumes / "mask.hdr").unlink()
    assert done.identify({"case": "a", "image": image}) == {}


def test_folders_below_a_folder_count(tmp_path):
    (tmp_path / "x" / "y").mkdir(parents=True)
    (tmp_path / "x" / "y" / "1.dcm").write_bytes(b"1")
    before = files_hash([tmp_path / "x"])
    (tmp_path / "x" / "y" / "1.dcm").write_bytes(b"2")
    assert files_hash([tmp_path / "x"]) != before


@pytest.mark.parametrize("bundle", ["gesenet_bundle", "rmr_bundle"])
def test_both_bundles_ask_their_loader(bundle, request, tmp_path):
    folder = request.getfixturevalue(bundle)
    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser.update({"bundle_root": str(folder), "output_dir": str(tmp_path)})
    loader = parser.get_parsed_content("preprocessing").transforms[0]
    assert parser.get_parsed_content("done_cases").files == loader.depends_on
