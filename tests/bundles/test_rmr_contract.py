"""What MONAI's clients and a user expect of rmr_fusion_bundle's training and evaluation files."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser, ConfigWorkflow, ReferenceResolver, run

from shared_networks.data import evaluation_cases
from shared_networks.errors import InputError
from shared_networks.runner.one_line_errors import find_input_error
from tests.bundles.bundle_runs import HEADS, walk

BUNDLE = Path(__file__).resolve().parents[2] / "rmr_fusion_bundle"
STAGE_1 = [
    [],
    ["paper_autoencoder"],
    ["released_autoencoder"],
    ["prostate158_autoencoder"],
    ["multi_gpu_train_autoencoder"],
]
STAGE_2 = [
    [],
    *([head] for head in HEADS),
    ["paper_size"],
    ["paper"],
    ["released"],
    ["without_segmentation_loss"],
    ["without_fusion_loss"],
    ["head_only"],
    ["head_unetr", "head_only"],
    ["degrade_stage2"],
    ["tune_encoders"],
    ["prostate158"],
    ["mrbrains"],
    ["multi_gpu_train"],
    ["evaluate"],
    ["head_only", "evaluate"],
    ["head_unet", "paper_size", "evaluate"],
    ["evaluate", "multi_gpu_evaluate"],
    ["evaluate", "evaluate_average"],
    ["evaluate", "evaluate_average", "evaluate_flair"],
    ["evaluate", "evaluate_average", "evaluate_maximum"],
    ["evaluate", "evaluate_average", "evaluate_minimiser"],
]
LISTS = [*(["train_autoencoder", *o] for o in STAGE_1), *(["train", *o] for o in STAGE_2)]


def read(name):
    """Content of one file of configs/."""
    return json.loads((BUNDLE / "configs" / f"{name}.json").read_text(encoding="utf-8"))


def parse(names, **override):
    parser = ConfigParser()
    parser.read_config([str(BUNDLE / "configs" / f"{name}.json") for name in names])
    parser.update({"bundle_root": str(BUNDLE), "device": "cpu", **override})
    return parser


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Folder with one case in each section."""
    folder = tmp_path_factory.mktemp("brains")
    random = np.random.default_rng(0)
    sections = {}
    for section in ("training", "validation", "test"):
        item = {"subject": section}
        for name in ("t1", "flair", "label"):
            item[name] = f"{section}_{name}.nii.gz"
            values = random.integers(0, 5, (9, 8, 7)) * (1 if name == "label" else 50)
            nib.save(nib.Nifti1Image(values.astype(np.uint8), np.eye(4)), folder / item[name])
        sections[section] = [item]
    del sections["test"][0]["label"]
    (folder / "datalist.json").write_text(json.dumps(sections))
    return folder


# --- configs


@pytest.mark.parametrize("names", LISTS, ids="+".join)
def test_every_reference_of_a_config_list_is_there(names):
    parser = parse(names)
    references = {
        reference
        for text in walk(parser.get())
        if isinstance(text, str) and text.startswith(("$", "@", "%"))
        for reference in ReferenceResolver.match_refs_pattern(text.replace("%", "@"))
    }
    assert len(references) > 50
    missing = []
    for reference in references:
        try:
            parser[reference]
        except (KeyError, ValueError, IndexError, TypeError):
            missing.append(reference)
    assert missing == []


@pytest.mark.parametrize("overlays", STAGE_2, ids="+".join)
def test_an_overlay_names_keys_that_its_base_has_or_uses(overlays):
    """A mistyped id of an overlay would be a new item that nothing looks at."""
    for position, name in enumerate(overlays):
        base = parse(["train", *overlays[:position]])
        merged = parse(["train", *overlays[: position + 1]])
        references = {
            reference
            for text in walk(merged.get())
            if isinstance(text, str)
            for reference in ReferenceResolver.match_refs_pattern(text)
        }
        for key in read(name):
            key = key.removeprefix("+")
            parent = key.rpartition("#")[0]
            known = key in base or key in references or (parent and parent in base)
            assert known or name.startswith(("multi_gpu", "evaluate")), key


@pytest.mark.parametrize("name", ["train_autoencoder", "train", "two_stage"])
def test_program_can_be_run_by_either_id(name):
    config = read(name)
    assert config["training"] == "%run"
    assert config["initialize"][:2] == ["@import_paths", "@stages" if name == "two_stage" else "@check_run"]
    assert {"run", "finalize"} <= config.keys()
    assert (config["bundle_root"], config["dataset_dir"], config["datalist"]) == (".", "", "")
    assert not any("@network" in str(step) for step in config["initialize"])


@pytest.mark.parametrize("key", ["train#handlers", "validate#key_metric", "validate#additional_metrics"])
@pytest.mark.parametrize("name", ["train_autoencoder", "train"])
def test_what_clients_edit_is_literal(name, key):
    content = parse([name])[key]
    assert content
    for item in content.values() if isinstance(content, dict) else content:
        assert "_target_" in item


def test_inference_builds_the_network_that_was_trained():
    if not (BUNDLE / "configs" / "inference.json").is_file():
        pytest.skip("configs/inference.json is not there")
    inference, train = read("inference"), read("train")
    assert inference["network_def"] == train["network_def"]
    for name in ("semantic_head", "head_divisor", "head_channels", "head_classes", "roi_size", "percentiles"):
        assert inference[name] == train[name], name


def test_number_of_parameters():
    """63.09 M with the overlay of the paper's size, and less than 25 MB of weights without it."""
    counts = {}
    for names in (["train"], ["train", "paper_size"]):
        network = parse(names).get_parsed_content("network_def")
        counts[len(names)] = sum(parameter.numel() for parameter in network.parameters())
    assert counts[2] == 63_085_000
    assert 4 * counts[1] < 25 * 2**20


@pytest.mark.parametrize(
    ("names", "workflow_type"),
    [
        (["train"], "train"),
        (["train_autoencoder"], "train"),
        (["train", "evaluate"], "train"),
        (["train", "head_only", "evaluate"], "train"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else value,
)
def test_workflow_has_all_properties(names, workflow_type, dataset, tmp_path):
    if not (BUNDLE / "configs" / "metadata.json").is_file():
        pytest.skip("configs/metadata.json is not there")
    keys = {"bundle_root": str(BUNDLE), "device": "cpu", "dataset_dir": str(dataset), "ckpt_dir": str(tmp_path)}
    files = [str(BUNDLE / "configs" / f"{name}.json") for name in names]
    workflow = ConfigWorkflow(
        files, workflow_type=workflow_type, logging_file=False, output_dir=str(tmp_path / "eval"), **keys
    )
    workflow.initialize()
    assert workflow.check_properties() == []


# --- presets

PAPER = {
    "train_autoencoder+paper_autoencoder": {
        "max_epochs": 200,
        "batch_size": 2,
        "patch_size": [128, 128, 32],
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "gradient_clip": 0.0,
        "alpha": 1.0,
        "detach_target": False,
        "image_mse": 40.0,
        "image_variation": 20.0,
        "image_similarity": 1.0,
        "feature_mse": 40.0,
        "feature_variation": 20.0,
        "feature_similarity": 1.0,
        "optimizer#_target_": "torch.optim.Adam",
    },
    "train+paper": {
        "max_epochs": 140,
        "batch_size": 2,
        "patch_size": [128, 128, 32],
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "gradient_clip": 0.0,
        "feature_size": 48,
        "visual": 1.0,
        "delta": 0.08,
        "fused_intensity": [0.0, 1.0],
        "eta": 0.10,
        "cross_entropy": 0.0,
        "classes": 5,
        "optimizer#_target_": "torch.optim.Adam",
    },
    "train_autoencoder+released_autoencoder": {
        "batch_size": 1,
        "weight_decay": 5e-5,
        "alpha": 1.0,
        "detach_target": False,
        "image_mse": 40.0,
        "image_variation": 20.0,
        "image_similarity": 1.0,
        "feature_mse": 40.0,
        "feature_variation": 20.0,
        "feature_similarity": 0.0,
        "noise_std": [0.0, 0.1],
        "blur_sigma": [0.1, 3.0],
        "broken_windows": [8, 8],
        "window_size": 1 / 8,
        "lr_scheduler#T_max": 300,
        "optimizer#_target_": "torch.optim.Adam",
    },
    "train+released": {
        "max_epochs": 150,
        "batch_size": 1,
        "weight_decay": 1e-5,
        "feature_size": 48,
        "visual": 12.0,
        "delta": pytest.approx(1 / 12),
        "eta": 10.0,
        "cross_entropy": 0.0,
        "lr_scheduler#warmup_steps": 50,
        "lr_scheduler#t_total": 150,
        "optimizer#_target_": "torch.optim.AdamW",
    },
}


@pytest.mark.parametrize("names", PAPER)
def test_preset_has_the_published_numbers(names):
    parser = parse(names.split("+"))
    for key, value in PAPER[names].items():
        found = parser[key] if key.endswith("_target_") else parser.get_parsed_content(key)
        assert found == value, key


def test_paper_keeps_its_learning_rate_and_released_warms_up():
    rates = {}
    for names in (["train", "paper"], ["train", "released"]):
        parser = parse(names, feature_size=12)
        scheduler, optimizer = (parser.get_parsed_content(key) for key in ("lr_scheduler", "optimizer"))
        rates[names[1]] = []
        for _ in range(150):
            rates[names[1]].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    assert set(rates["paper"]) == {1e-4}
    assert rates["released"][:2] == pytest.approx([0.0, 1e-4 / 50])
    assert rates["released"][50] == pytest.approx(1e-4)
    assert rates["released"][100] == pytest.approx(0.5e-4)


def test_released_stage_1_makes_three_negatives():
    transforms = parse(["train_autoencoder", "released_autoencoder"])["train#random_transforms"]
    assert [item["_target_"].rpartition(".")[2] for item in transforms].count("RandDegradeEachd") == 1
    assert not any(item["_target_"].endswith(".RandDegraded") for item in transforms)
    transform = parse(["train_autoencoder", "released_autoencoder"]).get_parsed_content("train#random_transforms")[-1]
    image = np.random.default_rng(0).random((2, 16, 16, 8)).astype(np.float32)
    assert transform({"image": image})["degraded"].shape == (6, 16, 16, 8)


# --- refusals


def refusal(names, run_id="training", **keys):
    """The one line with which a run from Python is refused; MONAI wraps it."""
    files = [str(BUNDLE / "configs" / f"{name}.json") for name in names]
    with pytest.raises(Exception) as caught:
        run(run_id=run_id, config_file=files, bundle_root=str(BUNDLE), **keys)
    error = find_input_error(caught.value)
    assert error is not None
    assert "\n" not in str(error)
    return str(error)


def test_unknown_key_is_refused(dataset):
    line = refusal(["train"], dataset_dir=str(dataset), max_epoch=3)
    assert line.startswith("unknown key 'max_epoch' (did you mean 'max_epochs'")


def test_unknown_key_of_stage_1_is_refused_in_the_joint_run(dataset):
    line = refusal(["two_stage"], dataset_dir=str(dataset), **{"stage1#max_epoch": 3})
    assert "unknown key 'stage1#max_epoch' (did you mean 'stage1#max_epochs'" in line


@pytest.mark.parametrize("name", ["train", "train_autoencoder", "two_stage"])
def test_a_run_without_data_says_which_key_to_set(name):
    assert refusal([name]).startswith("dataset_dir or datalist is not set: give --dataset_dir FOLDER")


def test_missing_stage_1_checkpoint_names_the_command(dataset, tmp_path):
    line = refusal(["train"], dataset_dir=str(dataset), autoencoder_checkpoint=str(tmp_path / "none.pt"))
    assert "none.pt does not exist: train stage 1 first: python -m monai.bundle run training" in line
    assert "configs/train_autoencoder.json" in line


def test_evaluation_without_weights_is_refused(dataset, tmp_path):
    keys = {"dataset_dir": str(dataset), "checkpoint": str(tmp_path / "none.pt")}
    line = refusal(["train", "evaluate"], "evaluating", **keys)
    assert "none.pt does not exist: give --checkpoint FILE" in line


def test_evaluation_takes_labelled_cases_of_one_section(dataset):
    with pytest.raises(InputError, match="test has no label to compare with"):
        evaluation_cases(dataset_dir=str(dataset), section="test")
    assert [case["subject"] for case in evaluation_cases(dataset_dir=str(dataset))] == ["validation"]
    held_out = evaluation_cases(dataset_dir=str(dataset), validation_subjects=["training"])
    assert [case["subject"] for case in held_out] == ["training"]
    assert evaluation_cases() == []
