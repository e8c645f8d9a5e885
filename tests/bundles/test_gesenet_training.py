"""GeSeNet's training and evaluation configs on tiny data, in process and by the stock runner."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks.handlers import LossParts
from shared_networks.losses import SemanticLoss
from shared_networks.nets import BilateralAttentionSegmenter, GeSeNet
from shared_networks.runner.one_line_errors import find_input_error
from tests.bundles.bundle_runs import run_in_two_processes, run_workflow

TINY = {
    "max_epochs": 3,
    "iterations_per_epoch": 2,
    "batch_size": 2,
    "patch_size": [48, 48],
    "val_interval": 1,
    "validation_every": 1,
    "device": "$torch.device('cpu')",
}


@pytest.fixture(scope="module")
def dataset_dir(tmp_path_factory):
    """Smooth 64 x 64 pairs of two modalities; patient 2 is for validation."""
    folder = tmp_path_factory.mktemp("pairs")
    generator = np.random.default_rng(0)
    items = []
    for modality in ("CT", "PET"):
        for patient in ("1", "2"):
            paths = {}
            for side in ("mri", "other"):
                coarse = Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8))
                name = f"{modality}_{patient}_{side}.png"
                coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / name)
                paths[side] = name
            items.append({**paths, "modality": modality, "case": patient})
    (folder / "datalist.json").write_text(json.dumps({"training": items, "test": items[:2]}))
    return folder


@pytest.fixture(scope="module")
def semantic_checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("semantic") / "semantic.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(BilateralAttentionSegmenter().state_dict(), path)
    return path


@pytest.fixture(scope="module")
def overrides(dataset_dir, semantic_checkpoint, gesenet_bundle):
    return {
        **TINY,
        "bundle_root": str(gesenet_bundle),
        "dataset_dir": str(dataset_dir),
        "semantic_checkpoint": str(semantic_checkpoint),
        "validation_cases": {"CT": ["2"], "PET": ["2"]},
    }


@pytest.fixture(scope="module")
def trained(gesenet_bundle, overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    workflow = run_workflow(
        gesenet_bundle, ["train"], "train", ckpt_dir=str(folder), output_dir=str(folder / "eval"), **overrides
    )
    return folder, workflow


def test_training_saves_checkpoints_best_weights_and_named_losses(trained):
    folder, workflow = trained
    assert {path.name for path in folder.glob("*.pt")} == {
        "fusion_checkpoint_epoch=2.pt",
        "fusion_checkpoint_epoch=3.pt",
        "model.pt",
    }
    network = GeSeNet(mask_upsampling="bilinear", output_range=(-0.05, 1.05))
    network.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    parts = LossParts(workflow.parser.get_parsed_content("loss"))()
    assert set(parts) == {"L_E", "L_SSIM", "L_S", "L_quality", "L_mask", "L_total"}
    assert list((folder / "eval").glob("events.out.tfevents.*"))


def test_the_semantic_module_is_frozen(trained, semantic_checkpoint):
    _, workflow = trained
    semantic = workflow.parser.get_parsed_content("semantic_loss")
    assert isinstance(semantic, SemanticLoss)
    before = torch.load(semantic_checkpoint, weights_only=True)
    after = semantic.segmenter.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_run_resumed_at_an_epoch_boundary_ends_with_the_same_bits(trained, gesenet_bundle, overrides, tmp_path):
    folder, _ = trained
    shutil.copy(folder / "fusion_checkpoint_epoch=2.pt", tmp_path)
    run_workflow(
        gesenet_bundle, ["train"], "train", ckpt_dir=str(tmp_path), output_dir=str(tmp_path / "eval"), **overrides
    )
    whole = torch.load(folder / "fusion_checkpoint_epoch=3.pt", weights_only=True)
    resumed = torch.load(tmp_path / "fusion_checkpoint_epoch=3.pt", weights_only=True)
    assert whole["best"] == resumed["best"]
    assert whole["lr_scheduler"]["last_epoch"] == resumed["lr_scheduler"]["last_epoch"] == 6
    for key, value in whole["model"].items():
        assert torch.equal(value, resumed["model"][key]), key
    for key, value in whole["weight_average"]["average"].items():
        assert torch.equal(value, resumed["weight_average"]["average"][key]), key


def test_a_folder_of_another_training_is_refused_and_a_finished_one_says_so(
    trained, gesenet_bundle, overrides, tmp_path, caplog
):
    folder, _ = trained
    shutil.copy(folder / "fusion_checkpoint_epoch=3.pt", tmp_path)
    places = {"ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "eval")}
    with pytest.raises(RuntimeError) as caught:
        run_workflow(gesenet_bundle, ["train"], "train", **places, **{**overrides, "learning_rate": 0.5})
    assert "another training (learning_rate was 0.001 and is 0.5)" in str(find_input_error(caught.value))
    other = {**overrides, "validation_cases": {"CT": ["1"], "PET": ["2"]}}
    with pytest.raises(RuntimeError) as caught:
        run_workflow(gesenet_bundle, ["train"], "train", **places, **other)
    assert {"other training data", "other validation data"} <= set(
        str(find_input_error(caught.value)).split("(")[1].split(")")[0].split(", ")
    )
    moved = tmp_path / "moved"
    shutil.copytree(overrides["dataset_dir"], moved)
    overrides = {**overrides, "dataset_dir": str(moved)}
    run_workflow(gesenet_bundle, ["train"], "train", **places, **overrides)
    assert "this training is finished, 3 epochs of 3" in caplog.text
    assert [path.name for path in tmp_path.glob("*.pt")] == ["fusion_checkpoint_epoch=3.pt"]


def test_a_killed_training_goes_on_where_it_was(gesenet_bundle, overrides, tmp_path):
    command = [sys.executable, "-m", "monai.bundle", "run"]
    arguments = ["--config_file", str(gesenet_bundle / "configs" / "train.json")]
    settings = {**overrides, "max_epochs": 400, "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "eval")}
    for key, value in settings.items():
        arguments += [f"--{key}", value if isinstance(value, str) else json.dumps(value)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*command, "training", *arguments], **quiet) as p:
        deadline = time.monotonic() + 180
        while not list(tmp_path.glob("fusion_checkpoint_epoch=*.pt")) and time.monotonic() < deadline:
            assert p.poll() is None, "the training ended by itself"
            time.sleep(0.2)
        p.send_signal(signal.SIGKILL)
    epoch = max(int(path.stem.split("=")[1]) for path in tmp_path.glob("fusion_checkpoint_epoch=*.pt"))
    arguments[arguments.index("--max_epochs") + 1] = str(epoch + 1)
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    resumed = torch.load(tmp_path / f"fusion_checkpoint_epoch={epoch + 1}.pt", weights_only=True)
    assert resumed["trainer"]["iteration"] == (epoch + 1) * TINY["iterations_per_epoch"]


@pytest.mark.parametrize(
    "overlay",
    [
        "without_edge_enhancement",
        "without_region_mask",
        "without_global_refinement",
        "without_skip",
        "mask_before_edge",
        "without_edge_loss",
        "without_semantic_loss",
    ],
)
def test_ablations_train_a_step_and_change_what_they_name(gesenet_bundle, overrides, tmp_path, overlay):
    settings = {**overrides, "max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 2, "output_dir": str(tmp_path)}
    workflow = run_workflow(
        gesenet_bundle, ["train", overlay.removesuffix("")], "train", ckpt_dir=str(tmp_path), **settings
    )
    network = workflow.parser.get_parsed_content("network")
    parts = LossParts(workflow.parser.get_parsed_content("loss"))()
    full = {"L_E", "L_SSIM", "L_S", "L_quality", "L_mask", "L_total"}
    # Parameters follow from the table of the spec: E 16,448 against a 4,640 convolution, R 169,888, the skip 9,216.
    expected = {
        "without_edge_enhancement": ("parameters", 240_585 - 2 * (_edge_parameters() - 4_640)),
        "without_global_refinement": ("parameters", 240_585 - _refinement_parameters()),
        "without_skip": ("parameters", 240_585 - 32 * 32 * 9),
        "without_region_mask": ("parts", full - {"L_mask"}),
        "mask_before_edge": ("parts", full),
        "without_edge_loss": ("parts", full - {"L_E"}),
        "without_semantic_loss": ("parts", full - {"L_S"}),
    }[overlay]
    measured = {"parameters": sum(p.numel() for p in network.parameters()), "parts": set(parts)}
    assert measured[expected[0]] == expected[1]


def _edge_parameters():
    dense = (16 * 16 * 9 + 16) + (32 * 16 * 9 + 16) + (48 * 32 + 32)
    return dense + 2 * 16 * 9 + (16 * 32 + 32)


def _refinement_parameters():
    scale = (32 * 32 * 9 + 32) + (32 * 64 * 9 + 64)
    shift = (32 * 32 + 32) + (32 * 64 + 64)
    return scale + shift + (128 * 64 * 9 + 64)


def test_paper_preset_has_the_papers_numbers(gesenet_bundle):
    preset = json.loads((gesenet_bundle / "configs" / "paper.json").read_text())
    published = {
        "learning_rate": 1e-3,
        "weight_decay": 2e-4,
        "batch_size": 4,
        "patch_size": [24, 24],
        "max_epochs": 500,
        "edge": 1.0,
        "alpha": 0.5,
        "beta": 0.3,
        "gamma": 10.0,
        "delta": 0.5,
        "temperature": 0.5,
        "mask_upsampling": "transposed",
        "output_range": [0.0, 1.0],
        "sparsity_weight": 0.0,
        "quality_weight": 0.0,
        "gradient_clip": 0.0,
    }
    assert {key: preset[key] for key in published} == published
    # 150 pairs of each of three modalities, every 24 x 24 window at a stride of 8 in 256 x 256, four a batch.
    assert preset["iterations_per_epoch"] == 3 * 150 * ((256 - 24) // 8 + 1) ** 2 // 4


def test_paper_preset_trains(gesenet_bundle, overrides, tmp_path):
    settings = {**overrides, "max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 2, "output_dir": str(tmp_path)}
    settings.pop("patch_size")
    workflow = run_workflow(gesenet_bundle, ["train", "paper"], "train", ckpt_dir=str(tmp_path), **settings)
    parts = LossParts(workflow.parser.get_parsed_content("loss"))()
    assert set(parts) == {"L_E", "L_SSIM", "L_S", "L_total"}


def test_the_network_sees_a_disturbed_copy_and_the_loss_the_clean_pair(trained, gesenet_bundle, overrides):
    _, workflow = trained
    dataset = workflow.parser.get_parsed_content("train#dataset")
    items = [dataset[index] for index in range(2) for _ in range(4)]
    assert all(item["image"].shape == item["seen"].shape == (2, 48, 48) for item in items)
    assert all(item["seen"].min() >= 0.0 and item["seen"].max() <= 1.0 for item in items)
    same = [torch.equal(torch.as_tensor(item["image"]), torch.as_tensor(item["seen"])) for item in items]
    assert any(same) and not all(same)
    preset = json.loads((gesenet_bundle / "configs" / "paper.json").read_text())
    assert preset["input_key"] == "image" and not preset["alignment"] and not preset["black_background"]
    assert preset["weight_momentum"] == 0.0 and preset["mid_grey"] is None


def test_alignment_is_trained_alone_on_weights_without_it(trained, gesenet_bundle, overrides, tmp_path):
    folder, _ = trained
    settings = {**overrides, "max_epochs": 1, "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "eval")}
    settings["initial_checkpoint"] = str(folder / "model.pt")
    workflow = run_workflow(gesenet_bundle, ["train", "train_alignment"], "train", **settings)
    before = torch.load(folder / "model.pt", weights_only=True)
    after = torch.load(tmp_path / "model.pt", weights_only=True)
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert set(LossParts(workflow.parser.get_parsed_content("loss"))()) == {"L_offsets", "L_total"}
    network = GeSeNet(mask_upsampling="bilinear", output_range=(-0.05, 1.05), alignment=True)
    network.load_state_dict(after)


def test_volumes_are_a_modality_of_their_own(gesenet_bundle, overrides, tmp_path):
    pairs = json.loads((Path(overrides["dataset_dir"]) / "datalist.json").read_text())["training"]
    for item in pairs:
        item.update({side: str(Path(overrides["dataset_dir"]) / item[side]) for side in ("mri", "other")})
    volume = gesenet_bundle / "sample_data" / "volume"
    item = {"mri": str(volume / "t1.nii.gz"), "other": str(volume / "flair.nii.gz"), "modality": "FLAIR"}
    sections = {
        "training": [*pairs, item | {"case": "a", "name": "a"}],
        "validation": [item | {"case": "b", "name": "b"}],
    }
    (tmp_path / "datalist.json").write_text(json.dumps(sections))
    settings = {**overrides, "dataset_dir": str(tmp_path), "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path)}
    settings |= {"max_epochs": 1, "iterations_per_epoch": 1, "validation_slices": 2, "validation_every": 5}
    workflow = run_workflow(gesenet_bundle, ["train"], "train", **settings)
    weights = workflow.parser.get_parsed_content("train#sampler").weights
    assert weights.tolist() == [1.0, 1.0, 1.0]
    validated = workflow.parser.get_parsed_content("validate#dataset")
    assert [item["modality"] for item in validated] == ["CT", "FLAIR", "FLAIR"]
    assert validated[1]["image"].shape == validated[2]["image"].shape == (2, 96, 112)


def test_evaluation_writes_csv_json_and_a_table_of_all_methods(trained, gesenet_bundle, overrides, tmp_path):
    folder, _ = trained
    settings = {key: overrides[key] for key in ("bundle_root", "dataset_dir", "device")}
    settings |= {"output_dir": str(tmp_path), "data_name": "tiny", "checkpoint": str(folder / "model.pt")}
    run_workflow(gesenet_bundle, ["train", "evaluate"], "train", **settings)
    run_workflow(gesenet_bundle, ["train", "evaluate", "evaluate_maximum"], "train", **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "tiny_comparison.md",
        "tiny_gesenet.csv",
        "tiny_gesenet.json",
        "tiny_maximum.csv",
        "tiny_maximum.json",
    ]
    with (tmp_path / "tiny_maximum.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["modality"] for row in rows] == ["CT", "CT"]
    summary = json.loads((tmp_path / "tiny_maximum.json").read_text())
    mean = summary["modalities"]["CT"]["metrics"]["Qabf"]["mean"]
    assert mean == pytest.approx(np.mean([float(row["Qabf"]) for row in rows]), abs=1e-6)
    assert summary["parameters"] == 0
    assert json.loads((tmp_path / "tiny_gesenet.json").read_text())["parameters"] == 240_585
    table = (tmp_path / "tiny_comparison.md").read_text()
    assert "| gesenet |" in table and "| maximum |" in table and "0.676" in table


@pytest.mark.full
def test_two_processes_train_and_evaluate_as_one_does(gesenet_bundle, overrides, tmp_path):
    settings = {**overrides, "max_epochs": 1, "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "two")}
    settings.pop("device")
    run_in_two_processes(gesenet_bundle, ["train", "multi_gpu_train"], "training", **settings)
    assert (tmp_path / "fusion_checkpoint_epoch=1.pt").is_file()
    # Training and validation write a file each, in the first process only.
    assert len(list((tmp_path / "two").glob("events.out.tfevents.*"))) == 2

    settings = {key: overrides[key] for key in ("bundle_root", "dataset_dir")}
    settings |= {"data_name": "tiny", "checkpoint": str(tmp_path / "model.pt"), "output_dir": str(tmp_path / "two")}
    names = ["train", "evaluate", "multi_gpu_evaluate"]
    run_in_two_processes(gesenet_bundle, names, "evaluating", **settings)
    settings |= {"output_dir": str(tmp_path / "one"), "device": overrides["device"]}
    run_workflow(gesenet_bundle, ["train", "evaluate"], "train", **settings)
    tables = []
    for folder in ("one", "two"):
        with (tmp_path / folder / "tiny_gesenet.csv").open() as file:
            tables.append({row.pop("case"): row for row in csv.DictReader(file)})
    assert tables[0].keys() == tables[1].keys()
    for case, row in tables[0].items():
        assert float(tables[1][case]["Qabf"]) == pytest.approx(float(row["Qabf"]), abs=1e-4)
