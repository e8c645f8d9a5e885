"""BIDS derivatives: names, codes, side-cars, and what the official validator says."""

import json
import re
import shutil
import subprocess

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from shared_networks.outputs import BidsDataset, SaveBidsDerivativesd
from shared_networks.outputs.bids_derivatives import bids_entities, standard_codes
from shared_networks.transforms import LoadModalitiesd

SHAPE = (7, 6, 5)
CLASSES = ("background", "CSF", "GM", "WM", "WML")


@pytest.fixture
def source(write_volume, noise, tmp_path):
    """A BIDS data set of one subject with two sessions."""
    root = tmp_path / "raw"
    root.mkdir()
    description = {"Name": "made up", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    for session in ("1", "2"):
        for number, suffix in enumerate(("T1w", "FLAIR")):
            name = f"raw/sub-01/ses-{session}/anat/sub-01_ses-{session}_{suffix}.nii.gz"
            write_volume(name, noise(SHAPE, number), np.diag([1.0, 2, 3, 1]))
    return root


def item_of(source, session="1"):
    folder = source / "sub-01" / f"ses-{session}" / "anat"
    paths = [str(folder / f"sub-01_ses-{session}_{suffix}.nii.gz") for suffix in ("T1w", "FLAIR")]
    item = LoadModalitiesd(label_key="")({"case": f"sub-01_ses-{session}", "image": paths})
    label = torch.arange(int(np.prod(SHAPE))).reshape(1, *SHAPE) % 5
    fused = torch.linspace(0, 1, label.numel()).reshape(1, *SHAPE)
    return item | {"pred": MetaTensor(label), "fused": MetaTensor(fused), "lesion_probability": MetaTensor(1 - fused)}


def save(item, source, out):
    BidsDataset(str(out), str(source)).start(out / "reports", "")
    return SaveBidsDerivativesd(output_dir=str(out), source=str(source))(item)


def test_files_values_and_side_cars(source, tmp_path):
    out = tmp_path / "out"
    item = item_of(source)
    assert "refused" not in save(item, source, out)
    folder, stem = out / "sub-01" / "ses-1" / "anat", "sub-01_ses-1_space-orig"
    endings = [
        f"{name}.{kind}"
        for name in ("desc-fused_FLAIR", "label-L_mask", "label-L_probseg", "dseg")
        for kind in ("nii.gz", "json")
    ]
    assert {path.name for path in folder.iterdir()} == {f"{stem}_{end}" for end in (*endings, "dseg.tsv")}
    load = {name: nib.load(folder / f"{stem}_{name}.nii.gz") for name in ("dseg", "label-L_mask", "desc-fused_FLAIR")}
    label = item["pred"][0].numpy()
    # CSF is 3, GM 1, WM 2, lesion 7 there.
    assert np.array_equal(np.asarray(load["dseg"].dataobj), np.array([0, 3, 1, 2, 7])[label])
    assert np.array_equal(np.asarray(load["label-L_mask"].dataobj), label == 4)
    assert np.array_equal(load["desc-fused_FLAIR"].get_fdata(dtype=np.float32), item["fused"][0].numpy())
    probability = nib.load(folder / f"{stem}_label-L_probseg.nii.gz").get_fdata(dtype=np.float32)
    assert np.array_equal(probability, item["lesion_probability"][0].numpy())
    assert np.array_equal(load["dseg"].affine, np.diag([1.0, 2, 3, 1]))
    lines = (folder / f"{stem}_dseg.tsv").read_text().splitlines()
    assert [line.split("\t")[:3] for line in lines] == [
        ["index", "name", "abbreviation"],
        ["0", "background", "BG"],
        ["3", "cerebrospinal fluid", "CSF"],
        ["1", "grey matter", "GM"],
        ["2", "white matter", "WM"],
        ["7", "white matter lesion", "L"],
    ]
    side_car = json.loads((folder / f"{stem}_dseg.json").read_text())
    assert side_car["Sources"] == [
        f"bids:raw:sub-01/ses-1/anat/sub-01_ses-1_{suffix}.nii.gz" for suffix in ("T1w", "FLAIR")
    ]
    assert side_car["Manual"] is False
    assert json.loads((folder / f"{stem}_label-L_mask.json").read_text())["Type"] == "Lesion"
    description = json.loads((out / "dataset_description.json").read_text())
    assert description["DatasetType"] == "derivative" and description["GeneratedBy"][0]["Name"] == "RMR-Fusion"
    assert description["SourceDatasets"] == [{"URL": source.as_uri()}]
    assert (out / ".bidsignore").read_text() == "reports\n"
    patterns = re.findall(r"`(\S+\.(?:nii\.gz|tsv))`", (out / "README.md").read_text())
    told = {path.name for path in folder.iterdir() for pattern in patterns if path.match(pattern)}
    assert told == {f"{stem}_{end}" for end in (*endings, "dseg.tsv") if not end.endswith("json")}


def test_a_refused_case_leaves_nothing(source, tmp_path):
    save(item_of(source) | {"refused": "disk full"}, source, tmp_path / "out")
    assert not (tmp_path / "out" / "sub-01").exists()


def test_entities():
    assert bids_entities("sub-01") == {"sub": "01"}
    assert bids_entities("sub-01_ses-b_acq-x_run-2") == {"sub": "01", "ses": "b", "acq": "x", "run": "2"}
    assert bids_entities("p1") == {"sub": "p1"}
    others = [bids_entities(name)["sub"] for name in ("a_b", "ab", "a-b", "sub-", "ses-1_sub-2", "_.._p_1")]
    assert len(set(others)) == 6 and all(name.isalnum() for name in others)


def test_classes_without_a_standard_code_keep_theirs():
    assert standard_codes(["background", "zone", "cancer"]) == {0: 0, 1: 1, 2: 2}
    assert standard_codes(CLASSES) == {0: 0, 1: 3, 2: 1, 3: 2, 4: 7}


def test_the_official_validator_finds_no_error(source, tmp_path):
    validator = shutil.which("bids-validator-deno") or shutil.which("bids-validator")
    if validator is None:
        pytest.skip("no BIDS validator: pip install bids-validator-deno")
    out = tmp_path / "out"
    for session in ("1", "2"):
        save(item_of(source, session), source, out)
    (out / "reports").mkdir()
    (out / "reports" / "cases.csv").write_text("case\n")
    done = subprocess.run([validator, str(out), "--json"], capture_output=True, text=True, timeout=300)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []
    assert "README_FILE_SMALL" not in {issue["code"] for issue in issues}
