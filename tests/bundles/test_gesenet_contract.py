"""What every MONAI client expects of gesenet_bundle's files, checked without a network."""

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out
from PIL import Image

import shared_networks

BUNDLE = Path(__file__).resolve().parents[2] / "gesenet_bundle"
SCHEMA = Path(__file__).resolve().parents[1] / "monai_schema" / "meta_schema_20240725.json"
PROGRAMS = {"inference": "inferring", "train": "training", "train_semantic": "training"}


def read(name):
    """Content of one file of configs/."""
    return json.loads((BUNDLE / "configs" / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def dataset(tmp_path):
    """Folder with one training and one validation pair of each modality."""
    sections = {"training": [], "validation": []}
    for number, (section, items) in enumerate(sections.items()):
        for modality in ("CT", "PET", "SPECT"):
            item = {"modality": modality, "case": str(number)}
            for part in ("mri", "other"):
                path = tmp_path / "data" / section / modality / part / "1.png"
                path.parent.mkdir(parents=True)
                Image.fromarray(np.random.default_rng(number).integers(0, 256, (130, 132), np.uint8)).save(path)
                item[part] = str(path.relative_to(tmp_path / "data"))
            items.append(item)
    sections["test"] = sections["validation"]
    (tmp_path / "data" / "datalist.json").write_text(json.dumps(sections))
    return tmp_path / "data"


# --- metadata


def test_metadata_keeps_to_the_schema():
    jsonschema.validate(read("metadata"), json.loads(SCHEMA.read_text(encoding="utf-8")))


def test_metadata_version_is_the_packages():
    metadata = read("metadata")
    assert metadata["version"] == shared_networks.__version__
    assert metadata["version"] in metadata["changelog"]
    assert metadata["schema"].endswith(SCHEMA.name)


def test_metadata_describes_image_and_pred_first():
    data_format = read("metadata")["network_data_format"]
    name, image = next(iter(data_format["inputs"].items()))
    assert (name, image["num_channels"], len(image["spatial_shape"])) == ("image", 2, 2)
    name, pred = next(iter(data_format["outputs"].items()))
    assert (name, pred["num_channels"], pred["channel_def"]) == ("pred", 1, {"0": "fused image"})


def test_required_packages_are_requirements():
    """pip names; what the bundle needs beside MONAI must be what the repository installs."""
    lines = (BUNDLE.parent / "requirements.txt").read_text().split()
    assert set(read("metadata")["required_packages_version"]) <= set(lines)


@pytest.mark.parametrize("size", [1, 33])
def test_network_takes_and_gives_what_metadata_says(size):
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(BUNDLE / "configs" / "metadata.json"),
        config_file=str(BUNDLE / "configs" / "inference.json"),
        device="cpu",
        any=size,
        bundle_root=str(BUNDLE),
    )


# --- configs


@pytest.mark.parametrize(("name", "run_id"), PROGRAMS.items())
def test_program_can_be_run_by_either_id(name, run_id):
    config = read(name)
    assert config[run_id] == "%run"
    assert config["initialize"][:2] == ["@import_paths", "@check_run"]
    assert {"run", "finalize"} <= config.keys()
    assert config["bundle_root"] == "."
    assert config["dataset_dir"] == ""
    parser = ConfigParser()
    parser.read_config(str(BUNDLE / "configs" / f"{name}.json"))
    assert not any("@network" in str(step) for step in parser["initialize"])


def test_evaluation_can_be_run_by_either_id():
    config = read("evaluate")
    assert config["evaluating"] == "%run"
    assert {"run", "finalize", "initialize"} <= config.keys()


def test_inference_builds_the_network_that_was_trained():
    inference, train = read("inference"), read("train")
    assert inference["network_def"] == train["network_def"]
    for value in inference["network_def"].values():
        if str(value).startswith("@") and value != "@import_paths":
            assert inference[value[1:]] == train[value[1:]], value


@pytest.mark.parametrize("key", ["train#handlers", "validate#key_metric", "validate#additional_metrics"])
def test_what_clients_edit_is_literal(key):
    parser = ConfigParser()
    parser.read_config(str(BUNDLE / "configs" / "train.json"))
    content = parser[key]
    assert content
    for item in content.values() if isinstance(content, dict) else content:
        assert "_target_" in item


def check(names, workflow_type, tmp_path, **override):
    """Properties that are missing from a workflow that writes only below tmp_path."""
    keys = {"bundle_root": str(BUNDLE), "device": "cpu", "output_dir": str(tmp_path / "out")} | override
    files = [str(BUNDLE / "configs" / f"{name}.json") for name in names]
    workflow = ConfigWorkflow(files, workflow_type=workflow_type, logging_file=False, **keys)
    workflow.initialize()
    return workflow.check_properties()


def test_inference_has_all_properties(tmp_path):
    assert check(["inference"], "infer", tmp_path) == []


@pytest.mark.parametrize("overlays", [[], ["paper"], ["evaluate"], ["evaluate", "evaluate_maximum"]], ids="+".join)
def test_training_has_all_properties(dataset, tmp_path, overlays):
    keys = {"dataset_dir": str(dataset), "validation_cases": {}, "ckpt_dir": str(tmp_path / "models"), "beta": 0}
    assert check(["train", *overlays], "train", tmp_path, **keys) == []


def test_semantic_training_has_all_properties(tmp_path):
    item = {"image": np.zeros((1, 96, 96), np.float32), "label": np.zeros((1, 96, 96), np.uint8), "modality": "CT"}
    keys = {f"{part}#dataset#data": [item] for part in ("train", "validate")}
    assert check(["train_semantic"], "train", tmp_path, ckpt_dir=str(tmp_path / "models"), **keys) == []


# --- files


def test_files_that_a_release_needs():
    for name in (
        "LICENSE",
        "configs/logging.conf",
        "configs/evaluate.json",
        "configs/multi_gpu_train.json",
        "configs/multi_gpu_evaluate.json",
        "docs/README.md",
        "docs/data_license.txt",
        "models/model.pt",
        "models/semantic.pt",
        "sample_data/ATTRIBUTION.txt",
    ):
        assert (BUNDLE / name).stat().st_size > 0, name


def test_no_file_is_over_25_megabytes():
    skipped = {"eval", "__pycache__"}
    for path in BUNDLE.rglob("*"):
        if path.is_file() and not skipped & set(path.parts) and "_checkpoint_" not in path.name:
            assert path.stat().st_size <= 25 * 2**20, path
