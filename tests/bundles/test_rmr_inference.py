"""inference.json of rmr_fusion_bundle from end to end, mostly in process; the stock runner for what only it shows."""

import csv
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, run, verify_net_in_out
from monai.bundle.properties import InferProperties
from monai.transforms import Compose, Orientationd, SaveImaged
from PIL import Image

import shared_networks
from shared_networks.nets import RMRFusionNet
from shared_networks.runner.one_line_errors import find_input_error
from shared_networks.transforms import LoadModalitiesd
from tests.bundles.bundle_runs import (
    CASE_FILES,
    COLOUR_TABLES,
    RUN_FILES,
    SMALL_HEAD,
    network_of,
    on_brain,
    run_workflow,
)

SCHEMA = Path(__file__).resolve().parents[1] / "monai_schema" / "meta_schema_20240725.json"
SHAPE = (14, 17, 9)
ANGLE = np.deg2rad(20)
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]]
) @ np.diag([0.9, 0.9, 6.5])
OBLIQUE[:3, 3] = [11.5, -22.25, 33.125]
AFFINES = {
    "axial": np.diag([1.0, 1, 1, 1]),
    "sagittal": np.array([[0, 0, 3, -10], [-1, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1.0]]),
    "oblique": OBLIQUE,
    "lps": np.diag([-1.0, -1, 2, 1]),
}


@pytest.fixture(scope="module")
def config(rmr_bundle):
    return rmr_bundle / "configs" / "inference.json"


@pytest.fixture(scope="module")
def network(config, rmr_bundle):
    return network_of(config, rmr_bundle, **SMALL_HEAD)


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


def test_parses_with_everything_empty_and_has_all_properties(config, rmr_bundle):
    workflow = ConfigWorkflow(
        str(config), workflow_type="infer", logging_file=False, bundle_root=str(rmr_bundle), device="cpu"
    )
    workflow.initialize()
    workflow.properties = dict(InferProperties)  # what metadata.json must hold is tested elsewhere
    assert workflow.check_properties() == []
    assert isinstance(workflow.network_def, RMRFusionNet)
    assert len(workflow.dataset) == 0


def test_metadata_describes_the_network(rmr_bundle):
    metadata = json.loads((rmr_bundle / "configs" / "metadata.json").read_text())
    jsonschema.validate(metadata, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert metadata["version"] == shared_networks.__version__ and metadata["version"] in metadata["changelog"]
    image, pred = (next(iter(metadata["network_data_format"][part].items())) for part in ("inputs", "outputs"))
    assert (image[0], image[1]["channel_def"]) == ("image", {"0": "T1", "1": "FLAIR"})
    names = json.loads((rmr_bundle / "configs" / "inference.json").read_text())["class_names"]
    # one channel more than labels: the fused volume is no label
    assert (pred[0], pred[1]["num_channels"]) == ("pred", 6)
    assert list(pred[1]["channel_def"].values()) == names
    lines = (rmr_bundle.parent / "requirements.txt").read_text().split()
    assert set(metadata["required_packages_version"]) <= set(lines)


def test_network_takes_and_gives_what_metadata_says(config, rmr_bundle):
    """At one voxel, the hardest size; p and n are 1 by default."""
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(rmr_bundle / "configs" / "metadata.json"),
        config_file=str(config),
        device="cpu",
        any=1,
        bundle_root=str(rmr_bundle),
    )


def test_sample_data_is_attributed(rmr_bundle):
    sample = rmr_bundle / "sample_data"
    text = (sample / "ATTRIBUTION.txt").read_text()
    assert "Creative Commons" in text and "10.1007/s12021-017-9348-7" in text and "Changes made" in text
    item = LoadModalitiesd()({"image": [str(sample / f"{name}.nii.gz") for name in ("t1", "flair")]})
    assert item["image"].shape == (2, 96, 112, 48) and item["warning"] == ""


def test_references_are_those_that_tools_look_for(config):
    content = json.loads(config.read_text())
    assert content["dataset"]["transform"] == "@preprocessing"
    assert content["evaluator"]["postprocessing"] == "@postprocessing"
    assert content["evaluator"]["val_handlers"] == "@handlers"
    assert content["inferring"] == "%run"
    assert all(isinstance(handler, dict) and "_target_" in handler for handler in content["handlers"])
    ours = re.findall(r'"_target_": "shared_networks[^"]*",\s*"([^"]*)"', config.read_text())
    assert ours and set(ours) == {"_requires_"}


@pytest.mark.parametrize("name", AFFINES)
def test_one_case_is_what_the_network_gives_on_the_input_grid(infer, write_case, network, checkpoint, name):
    affine = AFFINES[name]
    t1, flair = write_case(f"data/{name}", affine=affine)
    out = infer(t1=t1, flair=flair) / name
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


@pytest.mark.parametrize("lost", [0, 1])
def test_one_modality_alone_is_segmented_when_allowed(infer, write_case, network, lost):
    names = ("t1", "flair")
    paths = dict(zip(names, write_case("data/p1"), strict=True))
    there = names[1 - lost]
    out = infer(**{there: paths[there]}, allow_missing=True) / "p1"
    report = json.loads((out / "p1_report.json").read_text())
    assert report["missing_modality"] == names[lost]
    assert report["inputs"] == {there: str(paths[there]), names[lost]: ""}
    assert report["warnings"].startswith(f"{names[lost]} is missing")
    images = [str(paths[name]) if name == there else "" for name in names]
    item = LoadModalitiesd(label_key="", allow_missing=True)({"image": images})
    expected, brain = on_brain(network, item)
    inside = brain.bool().numpy()
    fused = nib.load(out / "p1_fused.nii.gz").get_fdata()
    assert np.abs(fused - expected[-1].clamp(0, 1).numpy() * inside).max() < 1e-4
    labels = np.asarray(nib.load(out / "p1_seg.nii.gz").dataobj)
    assert (labels == (1 + expected[1:-1].argmax(0).numpy()) * inside).mean() > 0.99
    # The same command again does nothing, another modality alone is another case.
    before = (out / "p1_report.json").stat().st_mtime_ns
    infer(**{there: paths[there]}, allow_missing=True)
    assert (out / "p1_report.json").stat().st_mtime_ns == before
    infer(**paths)
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


@pytest.mark.parametrize("shape", [(17, 13, 1), (15, 23, 7)], ids=str)
def test_sizes(infer, write_case, shape):
    t1, flair = write_case("data/odd", shape)
    out = infer(t1=t1, flair=flair) / "odd"
    assert nib.load(out / "odd_seg.nii.gz").shape == shape


def test_folder_of_cases_and_datalist(infer, write_case, tmp_path):
    for name, length in (("a", 9), ("b", 6)):
        write_case(f"data/{name}", (14, 12, length))
    out = infer(dataset_dir=tmp_path / "data")
    assert {path.name for path in out.iterdir()} == {"a", "b", "colour_tables", *RUN_FILES}
    with (out / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["case"]: row for row in csv.DictReader(stream)}
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


def test_other_modalities_and_classes_in_a_worker(infer, write_case, config, rmr_bundle, tmp_path):
    """As for Prostate158; the label of the list, here a map and a mask, is not read."""
    paths = write_case("data/p")
    item = {"t2": str(paths[0]), "adc": str(paths[1]), "label": ["zones.nii.gz", "tumour.nii.gz"], "subject": "p"}
    (tmp_path / "cases.json").write_text(json.dumps([item]))
    path = tmp_path / "prostate.pt"
    torch.save(network_of(config, rmr_bundle, **SMALL_HEAD, classes=4).state_dict(), path)
    names = ["background", "transitional zone", "peripheral zone", "cancer"]
    keys = {"modalities": ["t2", "adc"], "brain_checks": False, "classes": 4, "class_names": names, "num_workers": 1}
    out = infer(datalist=tmp_path / "cases.json", checkpoint=path, **keys)
    report = json.loads((out / "p" / "p_report.json").read_text())
    assert list(report["volumes_ml"]) == names[1:] and list(report["inputs"]) == ["t2", "adc"]
    assert np.asarray(nib.load(out / "p" / "p_seg.nii.gz").dataobj).max() <= 3


def test_sample_with_the_default_head(infer, write_case, config, rmr_bundle, tmp_path):
    """The network that is shipped has this form."""
    default = {key: json.loads(config.read_text())[key] for key in SMALL_HEAD}
    path = tmp_path / "default.pt"
    torch.save(network_of(config, rmr_bundle).state_dict(), path)
    t1, flair = write_case("data/sample", (20, 20, 14))
    out = infer(t1=t1, flair=flair, checkpoint=path, **default | {"roi_size": [20, 20, 14]})
    seg = nib.load(out / "sample" / "sample_seg.nii.gz")
    assert seg.shape == (20, 20, 14) and np.asarray(seg.dataobj).max() <= 4


def test_picture_shows_every_panel(infer, write_case):
    t1, flair = write_case("data/p")
    picture = np.asarray(Image.open(infer(t1=t1, flair=flair) / "p" / "p_qc.png").convert("RGB")).astype(int)
    assert min(picture.shape[:2]) > 300
    coloured = (picture.max(axis=-1) - picture.min(axis=-1)) > 60
    left, right = np.array_split(coloured, [picture.shape[1] * 3 // 4], axis=1)
    assert right.mean() > 5 * left.mean()  # only the last column is coloured


@pytest.mark.parametrize("scale", [False, True])
def test_monai_label_path(config, rmr_bundle, write_case, network, scale):
    """What MONAI Label 0.8.5 does with the file: no read_meta, SaveImaged dropped, pre/inferer/post run one by one."""
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.config.update({"bundle_root": str(rmr_bundle), **SMALL_HEAD})
    parser["displayable_configs"].update({"scale_to_255": scale})
    parser.parse()
    t1, _ = write_case("data/s", affine=AFFINES["sagittal"])
    data = {"image": str(t1)}  # the second modality is found beside it
    for transform in parser.get_parsed_content("preprocessing").transforms:
        data = transform(data)
    with torch.no_grad():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
    post = [t for t in parser.get_parsed_content("postprocessing").transforms if not isinstance(t, SaveImaged)]
    for transform in post:
        data = transform(data)
    assert data["pred"].shape == (1, *SHAPE) and set(data["pred"].unique().tolist()) <= set(range(5))
    assert data["image"].shape == (2, *SHAPE)
    assert data["image"].meta["spatial_shape"].tolist() == list(SHAPE)
    assert np.array_equal(np.asarray(data["pred"].affine), nib.load(t1).affine)
    assert (1 < data["fused"].max() <= 255) if scale else (0 < data["fused"].max() <= 1)


def test_stock_runner_refuses_bad_cases_one_line_each_and_goes_on(
    config, rmr_bundle, checkpoint, write_case, write_volume, tmp_path
):
    paths = {name: write_case(f"data/{name}") for name in ("good", "lonely", "moved", "nan", "shape", "zero", "zipped")}
    paths["lonely"][1].unlink()
    flair = np.asarray(nib.load(paths["good"][1]).dataobj)
    write_volume("data/moved/flair.nii.gz", flair, np.diag([1.0, 1, -1, 1]))
    write_volume("data/nan/flair.nii.gz", np.where(flair > flair.mean(), np.nan, flair).astype(np.float32))
    write_volume("data/shape/flair.nii.gz", flair[1:])
    write_volume("data/zero/flair.nii.gz", flair * 0)
    paths["zipped"][0].write_bytes(paths["zipped"][0].read_bytes()[:300])
    out = tmp_path / "out"
    keys = {"bundle_root": rmr_bundle, "dataset_dir": tmp_path / "data", "output_dir": out, "checkpoint": checkpoint}
    keys |= {"device": "cpu", **SMALL_HEAD}
    command = [sys.executable, "-m", "monai.bundle", "run", "inferring", "--config_file", str(config)]
    for key, value in keys.items():
        command += [f"--{key}", str(value)]
    # from a folder that knows nothing of the repository, so that import_paths has to do its work
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    expected = {
        "lonely": "flair",
        "moved": "the orientation differs, RAS against RAI",
        "nan": "NaN or infinite values",
        "shape": "the sizes differ",
        "zero": "every value is 0, no flair is there",
        "zipped": "cannot be read",
    }
    report = json.loads((out / "run_report.json").read_text())
    reasons = {entry["case"]: entry["reason"] for entry in report["cases"] if entry["status"] == "refused"}
    assert reasons.keys() == expected.keys()
    for case, reason in expected.items():
        assert reason in reasons[case]
        assert (done.stdout + done.stderr).count(f"{case} refused: {reasons[case]}") == 1
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {
        *RUN_FILES,
        *(f"colour_tables/{name}" for name in COLOUR_TABLES),
        *(f"good/good_{ending}" for ending in CASE_FILES),
    }


NOTHING = "t1 or flair or datalist or dataset_dir is not set: give --t1 FILE and --flair FILE, or --datalist FILE, or"


def test_stock_runner_ends_with_one_line_when_nothing_can_be_done(config, rmr_bundle, checkpoint, tmp_path):
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(config)]
    command += ["--bundle_root", str(rmr_bundle), "--checkpoint", str(checkpoint)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: {NOTHING}"), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


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
def test_a_run_that_cannot_mean_what_its_user_wants_is_refused(
    config, rmr_bundle, checkpoint, write_case, keys, message
):
    t1, _ = write_case("data/good")
    given = {"checkpoint": str(checkpoint)} | {key: value.format(t1=t1) for key, value in keys.items()}
    with pytest.raises(Exception) as caught:
        run(run_id="inferring", config_file=str(config), bundle_root=str(rmr_bundle), **given)
    error = find_input_error(caught.value)
    assert error is not None and str(error).startswith(message)
    assert "\n" not in str(error)
