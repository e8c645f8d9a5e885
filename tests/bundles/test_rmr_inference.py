"""inference.json of rmr_fusion_bundle from end to end, in process."""

import hashlib
import json
import re

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import run
from monai.transforms import Compose, Orientationd

import shared_networks
from shared_networks.transforms import LoadModalitiesd
from tests.affines import AFFINES
from tests.bundles.bundle_runs import (
    CASE_FILES,
    RUN_FILES,
    SMALL_HEAD,
    as_monai_label,
    config_files,
    network_of,
    on_brain,
    read_table,
    refusal_of,
    run_workflow,
)

SHAPE = (14, 17, 9)


@pytest.fixture(scope="module")
def network(rmr_bundle):
    return network_of(rmr_bundle, **SMALL_HEAD)


@pytest.fixture(scope="module")
def checkpoint(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("rmr") / "model.pt"
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def write_case(rmr_bundle, write_volume):
    """Function (folder, shape, affine) that writes a cut-out of the sample as t1 and flair.nii.gz; returns paths."""

    def write(folder, shape=SHAPE, affine=None, start=(30, 40, 20)):
        place = tuple(slice(first, first + length) for first, length in zip(start, shape, strict=True))
        paths = []
        for name in ("t1", "flair"):
            voxels = np.asarray(nib.load(rmr_bundle / "sample_data" / f"{name}.nii.gz").dataobj)[place].copy()
            # a border of zeros, as around a brain
            voxels[:2] = 0
            paths.append(write_volume(f"{folder}/{name}.nii.gz", voxels, affine))
        return paths

    return write


@pytest.fixture
def infer(rmr_bundle, checkpoint, tmp_path):
    """Function (overrides) -> output folder, after initialize, run and finalize."""

    def infer_with(**override):
        keys = {"output_dir": tmp_path / "out", "checkpoint": checkpoint, "device": "cpu"} | SMALL_HEAD | override
        run_workflow(rmr_bundle, ["inference"], "infer", **keys)
        return tmp_path / "out"

    return infer_with


@pytest.mark.parametrize("name", ["sagittal", "oblique", "lps"])
def test_one_case_is_what_the_network_gives_on_the_input_grid(infer, write_case, network, checkpoint, name):
    affine = AFFINES[name]
    t1, flair = write_case(f"data/{name}", affine=affine)
    out = infer(t1=t1, flair=flair, lesion_brightness=None) / name
    assert sorted(path.name for path in out.iterdir()) == [f"{name}_{ending}" for ending in CASE_FILES]
    item = Compose([LoadModalitiesd(label_key=""), Orientationd(["image", "brain"], axcodes="RAS", labels=None)])(
        {"image": [str(t1), str(flair)]}
    )
    expected, inside = on_brain(network, item)
    to_input = nib.orientations.ornt_transform(nib.io_orientation(np.eye(4)), nib.io_orientation(affine))
    fused_expected = nib.apply_orientation((expected[-1].clamp(0, 1) * inside).numpy(), to_input)
    classes = ((1 + expected[1:-1].argmax(0)) * inside).numpy()  # inside the brain nothing is background
    fused, seg, original = (nib.load(path) for path in (out / f"{name}_fused.nii.gz", out / f"{name}_seg.nii.gz", t1))
    for result in (fused, seg):
        assert result.shape == SHAPE
        assert np.array_equal(result.affine, original.affine)
        for form in ("sform", "qform"):
            found, code = getattr(result, f"get_{form}")(coded=True)
            wanted, wanted_code = getattr(original, f"get_{form}")(coded=True)
            assert code == wanted_code and (code == 0 or np.array_equal(found, wanted))
    assert fused.get_data_dtype() == np.float32 and seg.get_data_dtype() == np.uint8
    values = fused.get_fdata()
    assert values.min() >= 0 and values.max() <= 1 and values.std() > 1e-3
    assert np.abs(values - fused_expected).max() < 1e-4
    labels = np.asarray(seg.dataobj)
    assert labels.max() <= 4 and (labels[:2] == 0).all()
    assert (labels == nib.apply_orientation(classes, to_input)).mean() > 0.99

    report = json.loads((out / f"{name}_report.json").read_text())
    voxel_ml = abs(np.linalg.det(original.affine[:3, :3])) / 1000
    for number, tissue in enumerate(("CSF", "GM", "WM", "WML"), 1):
        assert report["volumes_ml"][tissue] == pytest.approx((labels == number).sum() * voxel_ml, abs=1e-4)
    assert report["model"] == {"file": "model.pt", "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest()}
    assert report["inputs"] == {"t1": str(t1), "flair": str(flair)}
    assert report["settings"]["roi_size"] == [28, 28, 28]
    assert report["shared_networks"] == shared_networks.__version__


def test_one_modality_alone_is_segmented_when_allowed(infer, write_case, network):
    t1, flair = write_case("data/p1")
    out = infer(t1=t1, allow_missing=True) / "p1"
    report = json.loads((out / "p1_report.json").read_text())
    assert report["missing_modality"] == "flair"
    assert report["inputs"] == {"t1": str(t1), "flair": ""}
    assert report["warnings"].startswith("flair is missing")
    item = LoadModalitiesd(label_key="", allow_missing=True)({"image": [str(t1), ""]})
    expected, brain = on_brain(network, item)
    inside = brain.bool().numpy()
    fused = nib.load(out / "p1_fused.nii.gz").get_fdata()
    assert np.abs(fused - expected[-1].clamp(0, 1).numpy() * inside).max() < 1e-4
    labels = np.asarray(nib.load(out / "p1_seg.nii.gz").dataobj)
    assert (labels == (1 + expected[1:-1].argmax(0).numpy()) * inside).mean() > 0.99
    # The same command again does nothing, another modality alone is another case.
    before = (out / "p1_report.json").stat().st_mtime_ns
    infer(t1=t1, allow_missing=True)
    assert (out / "p1_report.json").stat().st_mtime_ns == before
    infer(t1=t1, flair=flair)
    assert "missing_modality" not in json.loads((out / "p1_report.json").read_text())


def test_the_same_brain_on_a_larger_grid_gives_the_same_results(infer, write_case, write_volume):
    paths = write_case("data/tight")
    tight = [nib.load(path) for path in paths]
    wide = []
    for path, image in zip(("data/wide/t1.nii.gz", "data/wide/flair.nii.gz"), tight, strict=True):
        affine = image.affine.copy()
        affine[:3, 3] -= affine[:3, :3] @ [11, 3, 6]
        wide.append(write_volume(path, np.pad(np.asarray(image.dataobj), ((11, 20), (3, 9), (6, 30))), affine))
    infer(t1=paths[0], flair=paths[1])
    out = infer(t1=wide[0], flair=wide[1])
    for ending in ("fused", "seg"):
        one, other = (nib.load(out / name / f"{name}_{ending}.nii.gz") for name in ("tight", "wide"))
        inner = np.asarray(other.dataobj)[11:-20, 3:-9, 6:-30]
        assert np.array_equal(np.asarray(one.dataobj), inner) and inner.any()
        assert np.count_nonzero(other.dataobj) == np.count_nonzero(inner)


def test_folder_of_cases_and_datalist(infer, write_case, tmp_path):
    for name, length in (("a", 9), ("b", 6)):
        write_case(f"data/{name}", (14, 12, length))
    out = infer(dataset_dir=tmp_path / "data")
    assert {path.name for path in out.iterdir()} == {"a", "b", "colour_tables", *RUN_FILES}
    rows = {row["case"]: row for row in read_table(out / "cases.csv")}
    for name in "ab":
        report = json.loads((out / name / f"{name}_report.json").read_text(encoding="utf-8"))
        assert {key: rows[name][f"{key}_ml"] for key in report["volumes_ml"]} == {
            key: str(volume) for key, volume in report["volumes_ml"].items()
        }
        assert rows[name]["small_lesion_count"] == str(report["small_lesions"]["count"])
    assert json.loads((out / "run_report.json").read_text())["counts"]["refused"] == 0
    assert [nib.load(out / name / f"{name}_seg.nii.gz").shape[2] for name in "ab"] == [9, 6]
    # a label in the list is not read: inference must not depend on it
    item = {"t1": "a/t1.nii.gz", "flair": "a/flair.nii.gz", "label": "missing.nii.gz", "subject": "mine"}
    (tmp_path / "data" / "cases.json").write_text(json.dumps({"validation": [item], "training": [item | {"t1": "x"}]}))
    out = infer(datalist=tmp_path / "data" / "cases.json", datalist_section="validation")
    again, before = (nib.load(out / name / f"{name}_fused.nii.gz").get_fdata() for name in ("mine", "a"))
    assert np.array_equal(again, before)


def files_of_tree(tree):
    """Paths below the first line of a tree of names, two spaces a level, folders with a slash behind."""
    parts = []
    for line in tree.splitlines():
        name = line.split()[0]
        parts[(len(line) - len(line.lstrip())) // 2 :] = [name.rstrip("/")]
        if not name.endswith("/"):
            yield "/".join(parts[1:])


def first_cells(section):
    """Names in the first cell of each row of a table."""
    return [re.findall(r"`(\S+?)`", line.split("|")[1]) for line in section.splitlines() if line.startswith("| `")]


def test_the_page_on_results_explains_what_a_run_writes(infer, write_case, rmr_bundle, tmp_path):
    """Every file, column of the table and key of the report, and nothing else."""
    text = (rmr_bundle / "docs" / "results.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in text.split("\n## ")}
    write_case("data/p1")
    out = infer(dataset_dir=tmp_path / "data", lesion_probability=True, bids_output_dir=tmp_path / "bids")
    written = {path.relative_to(out).as_posix().replace("p1", "<case>") for path in out.rglob("*") if path.is_file()}
    assert written == set(files_of_tree(text.split("```")[1].strip()))

    columns = [name for names in first_cells(sections["cases.csv"]) for name in names]
    assert sorted(columns) == sorted(read_table(out / "cases.csv")[0])
    keys = json.loads((out / "p1" / "p1_report.json").read_text(encoding="utf-8")).keys()
    assert keys <= set(re.findall(r"`(\w+)`", sections["The report of a case"]))

    endings = [".bidsignore"]  # of an output folder inside the derivatives
    endings += [path.name.removeprefix("sub-p1_space-orig_") for path in (tmp_path / "bids").rglob("*.*")]
    explained = []
    for first, *others in first_cells(sections["BIDS"]):
        name = re.sub(r"^(\.\.\.|sub-X.*_space-orig)_", "", first)
        explained += [name, *(name.replace(".nii.gz", ending) for ending in others)]
    assert sorted(endings) == sorted(explained)


def test_other_modalities_and_classes_in_a_worker(infer, write_case, rmr_bundle, tmp_path):
    """As for Prostate158; the label of the list, here a map and a mask, is not read."""
    paths = write_case("data/p")
    item = {"t2": str(paths[0]), "adc": str(paths[1]), "label": ["zones.nii.gz", "tumour.nii.gz"], "subject": "p"}
    (tmp_path / "cases.json").write_text(json.dumps([item]))
    path = tmp_path / "prostate.pt"
    torch.save(network_of(rmr_bundle, **SMALL_HEAD, classes=4).state_dict(), path)
    names = ["background", "transitional zone", "peripheral zone", "cancer"]
    keys = {"modalities": ["t2", "adc"], "brain_checks": False, "classes": 4, "class_names": names, "num_workers": 1}
    out = infer(datalist=tmp_path / "cases.json", checkpoint=path, **keys)
    report = json.loads((out / "p" / "p_report.json").read_text())
    assert list(report["volumes_ml"]) == names[1:] and list(report["inputs"]) == ["t2", "adc"]
    assert np.asarray(nib.load(out / "p" / "p_seg.nii.gz").dataobj).max() <= 3


@pytest.mark.parametrize("scale", [False, True])
def test_monai_label_path(rmr_bundle, write_case, network, scale):
    t1, _ = write_case("data/s", affine=AFFINES["sagittal"])  # the second modality is found beside it
    data, _ = as_monai_label(rmr_bundle, t1, network, scale, **SMALL_HEAD)
    assert data["pred"].shape == (1, *SHAPE) and set(data["pred"].unique().tolist()) <= set(range(5))
    assert data["image"].shape == (2, *SHAPE)
    assert data["image"].meta["spatial_shape"].tolist() == list(SHAPE)
    assert np.array_equal(np.asarray(data["pred"].affine), nib.load(t1).affine)
    assert (1 < data["fused"].max() <= 255) if scale else (0 < data["fused"].max() <= 1)


NOTHING = "t1 or flair or datalist or dataset_dir is not set: give --t1 FILE and --flair FILE, or --datalist FILE, or"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, NOTHING),
        ({"t1": "{t1}"}, "only t1 was given: set both t1 and flair, or --allow_missing True."),
        ({"t1": "{t1}", "flair": "{t1}", "dataset_dir": "."}, "t1 and flair, dataset_dir were given together"),
        ({"t1": "{t1}", "flair": "{t1}", "fliar": "x"}, "unknown key 'fliar' (did you mean 'flair'?)"),
        ({"t1": "{t1}", "flair": "none.nii.gz"}, "flair: none.nii.gz does not exist"),
        ({"t1": "{t1}", "flair": "{t1}", "checkpoint": "none.pt"}, "checkpoint: none.pt does not exist: give"),
    ],
    ids=["nothing", "half", "two ways", "mistyped", "no file", "no weights"],
)
def test_a_run_that_cannot_mean_what_its_user_wants_is_refused(rmr_bundle, checkpoint, write_case, keys, message):
    t1, _ = write_case("data/good")
    given = {"checkpoint": str(checkpoint)} | {key: value.format(t1=t1) for key, value in keys.items()}
    given |= {"config_file": config_files(rmr_bundle, "inference"), "bundle_root": str(rmr_bundle)}
    assert refusal_of(run, run_id="inferring", **given).startswith(message)
