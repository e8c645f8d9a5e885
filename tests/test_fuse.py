"""The short command and the BIDS app: which long command they stand for."""

import json
import shutil
import subprocess
import sys

import pytest

from shared_networks.__main__ import fuse_arguments
from shared_networks.bids_app import app_arguments
from shared_networks.errors import InputError


def split(words):
    """Bundle and keys of the runner's arguments."""
    assert words[:3] == ["run", "inferring", "--config_file"] and words[3].endswith("inference.json")
    keys = {key.removeprefix("--"): value for key, value in zip(words[4::2], words[5::2], strict=True)}
    return keys.pop("bundle_root").replace("\\", "/").rpartition("/")[2], keys


def test_the_arguments_choose_the_bundle(tmp_path):
    command = ["fuse", "--t1", "a.nii.gz", "--flair", "b.nii.gz", "--align", "True"]
    expected = {"t1": "a.nii.gz", "flair": "b.nii.gz", "output_dir": "fused", "align": "True"}
    assert split(fuse_arguments(command)) == ("rmr_fusion_bundle", expected)
    command = ["fuse", "--mri", "a", "--other", "b", "--output_dir", "o"]
    assert split(fuse_arguments(command)) == ("gesenet_bundle", {"mri": "a", "other": "b", "output_dir": "o"})
    for name, key in (("gesenet_bundle", "mri"), ("rmr_fusion_bundle", "t1")):
        path = tmp_path / f"{key}.json"
        path.write_text(json.dumps({"test": [{key: "a.nii.gz"}]}))
        assert split(fuse_arguments(["fuse", "--datalist", str(path)]))[0] == name
    folder = tmp_path / "anything"
    folder.mkdir()
    assert split(fuse_arguments(["fuse", "--dataset_dir", str(folder)]))[0] == "rmr_fusion_bundle"
    assert split(fuse_arguments(["fuse", "--gesenet", "--dataset_dir", str(folder)]))[0] == "gesenet_bundle"


def test_a_config_file_of_the_users_and_other_spellings():
    """An overlay stands instead of the bundle's own config file, so that none is given twice."""
    words = fuse_arguments(["fuse", "--t1=a", "--flair", "b", "--output-dir", "o", "--config_file", "c.json"])
    keys = ["--bundle_root", "--t1", "--flair", "--output_dir", "--config_file"]
    assert [word for word in words if word.startswith("--")] == keys
    assert words[-1] == "c.json" and words[words.index("--output_dir") + 1] == "o"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["fuse", "--t1", "a", "--flair", "b", "--t1=c"], "^--t1: given more than once; keep one of each"),
        (["fuse", "--t1", "a", "--flair", "b", "--output-dir", "c", "--output_dir", "d"], "^--output_dir: given more"),
        (["fuse"], "nothing to fuse: give --t1 and --flair"),
        (["join"], "invalid choice: 'join'"),
        (["fuse", "a.nii.gz", "--t1", "b"], "unexpected 'a.nii.gz'"),
        (
            ["fuse", "--t1", "a", "--bundle_root", "nowhere"],
            r"nowhere.*not found; give the folder of rmr_fusion_bundle",
        ),
    ],
)
def test_mistakes_are_one_line(command, message):
    with pytest.raises(InputError, match=message):
        fuse_arguments(command)


@pytest.mark.parametrize("module", ["shared_networks.__main__", "shared_networks.bids_app"])
def test_help_fits_a_screen(run_module, monkeypatch, module):
    monkeypatch.setenv("COLUMNS", "80")
    code, printed, _ = run_module(module, "--help")
    lines = printed.splitlines()
    # A terminal has 24 lines of 80 characters; the last one is the next prompt's.
    assert code == 0 and 10 < len(lines) <= 23 and max(map(len, lines)) <= 80


def test_it_is_the_runner(tmp_path):
    """What the runner says of a missing file whose name has a mark, on one line with its exit code."""
    words = ["fuse", "--t1", "no#such.nii.gz", "--flair", "b.nii.gz", "--output_dir", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-m", "shared_networks", *words], capture_output=True, text=True)
    assert done.returncode == 1 and "t1: no#such.nii.gz does not exist" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr and not (tmp_path / "out").exists()


def test_what_fails_before_the_bundle_is_one_line_too():
    words = ["fuse", "--t1", "a.nii.gz", "--flair", "b.nii.gz", "--inferer", "%no_such.json::inferer"]
    done = subprocess.run([sys.executable, "-m", "shared_networks", *words], capture_output=True, text=True)
    (error,) = [line for line in done.stderr.splitlines() if not line.startswith("parsing config_file")]
    assert done.returncode == 1 and error.startswith("error: no_such.json: not a readable config file (")


@pytest.fixture
def dataset(touch, tmp_path):
    touch(
        *(f"raw/sub-{label}/anat/sub-{label}_{suffix}.nii.gz" for label in ("01", "02") for suffix in ("T1w", "FLAIR"))
    )
    touch("raw/sub-03/ses-1/anat/sub-03_ses-1_T1w.nii.gz")
    return tmp_path / "raw"


def test_a_bids_app_takes_all_or_some_participants(dataset, tmp_path):
    out = tmp_path / "out"
    name, keys = split(app_arguments([str(dataset), str(out), "participant", "--amp", "True"]))
    assert (name, keys["dataset_dir"], keys["amp"]) == ("rmr_fusion_bundle", str(dataset), "True")
    assert (keys["bids_output_dir"], keys["output_dir"]) == (str(out), str(out / "reports"))
    command = [str(dataset), str(out), "participant", "--participant_label", "sub-02", "03"]
    _, keys = split(app_arguments(command))
    items = json.loads((out / "reports" / "participants.json").read_text())
    anat = dataset / "sub-02" / "anat"
    assert items == [
        {"subject": "sub-02", "t1": str(anat / "sub-02_T1w.nii.gz"), "flair": str(anat / "sub-02_FLAIR.nii.gz")},
        {"subject": "sub-03_ses-1", "t1": str(dataset / "sub-03" / "ses-1" / "anat" / "sub-03_ses-1_T1w.nii.gz")},
    ]
    assert keys["bids_source_dir"] == str(dataset) and "dataset_dir" not in keys
    with pytest.raises(InputError, match="no sub-04 there; correct --participant_label"):
        app_arguments([str(dataset), str(out), "participant", "--participant_label", "04"])
    with pytest.raises(InputError, match="invalid choice: 'group'"):
        app_arguments([str(dataset), str(out), "group"])
    shutil.rmtree(out)
