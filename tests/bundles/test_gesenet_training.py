"""GeSeNet's training and evaluation configs on tiny data. Kills are in tests/robustness/test_killed_training.py."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from shared_networks.handlers import LossParts
from shared_networks.losses import SemanticLoss
from shared_networks.nets import GeSeNet
from tests.bundles.bundle_runs import TINY_PICTURES, parse, read_table, refusal_of, run_in_two_processes, run_workflow

TINY = TINY_PICTURES | {"max_epochs": 3, "degradation_share": 0.5, "device": "$torch.device('cpu')"}


@pytest.fixture(scope="module")
def overrides(pairs, semantic_checkpoint, gesenet_bundle):
    return {
        **TINY,
        "bundle_root": str(gesenet_bundle),
        "dataset_dir": str(pairs),
        "semantic_checkpoint": str(semantic_checkpoint),
    }


def run(configs, folder, bundle_root, **keys):
    """A workflow of the bundle's training, with its checkpoints and results in a folder."""
    keys = {"ckpt_dir": str(folder), "output_dir": str(folder / "eval"), **keys}
    return run_workflow(Path(bundle_root), configs, "train", **keys)


@pytest.fixture(scope="module")
def trained(overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return folder, run("train", folder, **overrides)


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
    assert set(parts) == PARTS
    assert list((folder / "eval").glob("events.out.tfevents.*"))
    # The weight of the masks' sparsity has grown for 3 of 5 epochs.
    assert workflow.parser.get_parsed_content("loss").sparsity_weight == pytest.approx(2.0 * 3 / 5)


def test_the_semantic_module_is_frozen(trained, semantic_checkpoint):
    _, workflow = trained
    semantic = workflow.parser.get_parsed_content("semantic_loss")
    assert isinstance(semantic, SemanticLoss)
    before = torch.load(semantic_checkpoint, weights_only=True)
    after = semantic.segmenter.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_folder_of_another_training_is_refused_and_a_finished_one_says_so(trained, overrides, tmp_path, caplog):
    folder, _ = trained
    shutil.copy(folder / "fusion_checkpoint_epoch=3.pt", tmp_path)
    line = refusal_of(run, "train", tmp_path, **{**overrides, "learning_rate": 0.5})
    assert "another training (learning_rate was 0.001 and is 0.5)" in line
    line = refusal_of(run, "train", tmp_path, **{**overrides, "validation_cases": {"CT": ["1"], "PET": ["2"]}})
    assert {"other training data", "other validation data"} <= set(line.split("(")[1].split(")")[0].split(", "))
    moved = tmp_path / "moved"
    shutil.copytree(overrides["dataset_dir"], moved)
    run("train", tmp_path, **{**overrides, "dataset_dir": str(moved)})
    assert "this training is finished, 3 epochs of 3" in caplog.text
    assert [path.name for path in tmp_path.glob("*.pt")] == ["fusion_checkpoint_epoch=3.pt"]


PARTS = {"L_E", "L_SSIM", "L_S", "L_quality", "L_mask", "L_total"}
# Overlay -> what it changes in the network, and the terms of the loss that are left.
ABLATIONS = {
    "without_edge_enhancement": ({"edge_enhancement": False}, PARTS),
    "without_region_mask": ({"region_mask": False}, PARTS - {"L_mask"}),
    "without_global_refinement": ({"global_refinement": False}, PARTS),
    "without_skip": ({"skip": False}, PARTS),
    "mask_before_edge": ({"mask_before_edge": True}, PARTS),
    "without_edge_loss": ({}, PARTS - {"L_E"}),
    "without_semantic_loss": ({}, PARTS - {"L_S"}),
}


@pytest.mark.parametrize("overlay", ABLATIONS)
def test_ablations_change_what_they_name(gesenet_bundle, semantic_checkpoint, overlay):
    parser = parse(gesenet_bundle, f"train+{overlay}", semantic_checkpoint=str(semantic_checkpoint))
    options, parts = ABLATIONS[overlay]
    network = parser.get_parsed_content("network_def")
    assert str(network) == str(GeSeNet(mask_upsampling="bilinear", output_range=(-0.05, 1.05), **options))
    batch = {name: torch.rand(1, 2, 48, 48) for name in ("image", "seen")}
    inputs, target, _, keywords = parser.get_parsed_content("train#prepare_batch")(batch)
    loss = parser.get_parsed_content("loss_function")
    loss(network(inputs, **keywords), target).backward()
    assert set(LossParts(loss)()) == parts


def test_paper_preset_trains(overrides, tmp_path):
    settings = {**overrides, "max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 2}
    settings.pop("patch_size")
    workflow = run("train+paper", tmp_path, **settings)
    parts = LossParts(workflow.parser.get_parsed_content("loss"))()
    assert set(parts) == {"L_E", "L_SSIM", "L_S", "L_total"}


def test_the_network_sees_a_disturbed_copy_and_the_loss_the_clean_pair(trained):
    _, workflow = trained
    dataset = workflow.parser.get_parsed_content("train#dataset")
    items = [dataset[index] for index in range(2) for _ in range(4)]
    assert all(item["image"].shape == item["seen"].shape == (2, 48, 48) for item in items)
    assert all(item["seen"].min() >= 0.0 and item["seen"].max() <= 1.0 for item in items)
    same = [torch.equal(torch.as_tensor(item["image"]), torch.as_tensor(item["seen"])) for item in items]
    assert any(same) and not all(same)


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
    settings = {**overrides, "dataset_dir": str(tmp_path), "max_epochs": 1, "iterations_per_epoch": 1}
    workflow = run("train", tmp_path, **settings | {"validation_slices": 2, "validation_every": 5})
    weights = workflow.parser.get_parsed_content("train#sampler").weights
    assert weights.tolist() == [1.0, 1.0, 1.0]
    validated = workflow.parser.get_parsed_content("validate#dataset")
    assert [item["modality"] for item in validated] == ["CT", "FLAIR", "FLAIR"]
    assert validated[1]["image"].shape == validated[2]["image"].shape == (2, 96, 112)


def test_evaluation_writes_csv_json_and_a_table_of_all_methods(trained, overrides, tmp_path):
    folder, _ = trained
    settings = {key: overrides[key] for key in ("bundle_root", "dataset_dir", "device")}
    settings |= {"output_dir": str(tmp_path), "data_name": "tiny", "checkpoint": str(folder / "model.pt")}
    run("train+evaluate", tmp_path, **settings)
    run("train+evaluate+evaluate_maximum", tmp_path, **settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "tiny_comparison.md",
        "tiny_gesenet.csv",
        "tiny_gesenet.json",
        "tiny_maximum.csv",
        "tiny_maximum.json",
    ]
    rows = read_table(tmp_path / "tiny_maximum.csv")
    assert [row["modality"] for row in rows] == ["CT", "CT", "PET"]
    summary = json.loads((tmp_path / "tiny_maximum.json").read_text())
    mean = summary["modalities"]["CT"]["metrics"]["Qabf"]["mean"]
    assert mean == pytest.approx(np.mean([float(row["Qabf"]) for row in rows[:2]]), abs=1e-6)
    assert summary["parameters"] == 0
    assert json.loads((tmp_path / "tiny_gesenet.json").read_text())["parameters"] == 240_585
    table = (tmp_path / "tiny_comparison.md").read_text()
    assert "| gesenet |" in table and "| maximum |" in table and "0.676" in table


def test_grey_pairs_are_aligned_after_the_disturbance_and_compared_as_loaded(
    gesenet_bundle, write_picture, shifted_pair, tmp_path
):
    mri, ct, _ = shifted_pair
    coloured = np.stack([ct, ct // 2, ct // 4], axis=-1)
    items = [
        {"mri": str(write_picture(f"{name}_mri.png", mri)), "other": str(write_picture(f"{name}.png", other))}
        | {"modality": name, "case": name}
        for name, other in (("grey", ct), ("coloured", coloured))
    ]
    (tmp_path / "pairs.json").write_text(json.dumps({"test": items}))
    keys = {"bundle_root": str(gesenet_bundle), "device": "cpu", "datalist": str(tmp_path / "pairs.json")}

    def evaluate(*configs, **given):
        keys["output_dir"] = str(tmp_path / str(len(list(tmp_path.iterdir()))))
        run_workflow(gesenet_bundle, ["train", "evaluate", "evaluate_average", *configs], "train", **keys, **given)
        (table,) = Path(keys["output_dir"]).glob("*.csv")
        return {row["modality"]: float(row["SCD"]) for row in read_table(table)}

    clean = evaluate(align_pictures=True)
    shifted = evaluate("evaluate_disturbed", shift=4)
    aligned = evaluate("evaluate_disturbed", shift=4, align_pictures=True)
    assert clean == evaluate()
    assert aligned["grey"] == pytest.approx(clean["grey"], abs=1e-6)
    assert shifted["grey"] < clean["grey"] - 0.05
    assert aligned["coloured"] == shifted["coloured"] != clean["coloured"]
    # A pair that was loaded with a shift is compared as it was loaded, though the average is of the aligned one.
    items[0]["other"] = str(write_picture("off.png", shifted_pair[2]))
    (tmp_path / "pairs.json").write_text(json.dumps({"test": items[:1]}))
    given, moved = evaluate(), evaluate(align_pictures=True)
    assert moved["grey"] < given["grey"] - 0.05


@pytest.mark.full
def test_two_processes_train_and_evaluate_as_one_does(gesenet_bundle, overrides, tmp_path):
    settings = {**overrides, "max_epochs": 1, "ckpt_dir": tmp_path, "output_dir": tmp_path / "two"}
    settings = {key: value for key, value in settings.items() if key not in ("device", "bundle_root")}
    run_in_two_processes(gesenet_bundle, ["train", "multi_gpu_train"], "training", **settings)
    assert (tmp_path / "fusion_checkpoint_epoch=1.pt").is_file()
    # Training and validation write a file each, in the first process only.
    assert len(list((tmp_path / "two").glob("events.out.tfevents.*"))) == 2

    settings = {"dataset_dir": overrides["dataset_dir"], "data_name": "tiny"}
    settings |= {"checkpoint": str(tmp_path / "model.pt"), "output_dir": str(tmp_path / "two")}
    names = ["train", "evaluate", "multi_gpu_evaluate"]
    run_in_two_processes(gesenet_bundle, names, "evaluating", **settings)
    settings |= {"output_dir": str(tmp_path / "one"), "device": overrides["device"]}
    run_workflow(gesenet_bundle, ["train", "evaluate"], "train", **settings)
    tables = [
        {row["case"]: row for row in read_table(tmp_path / folder / "tiny_gesenet.csv")} for folder in ("one", "two")
    ]
    assert tables[0].keys() == tables[1].keys()
    for case, row in tables[0].items():
        assert float(tables[1][case]["Qabf"]) == pytest.approx(float(row["Qabf"]), abs=1e-4)
