"""RMR-Fusion's training and evaluation configs on tiny volumes, in process and by the stock runner."""

import csv
import json
import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow

from shared_networks.handlers import LossParts
from shared_networks.inferers import EncodeOnceInferer
from shared_networks.metrics import CorrelationOfDifferencesMetric
from shared_networks.nets import DegradationAutoencoder, SemanticHeadOnly
from shared_networks.transforms import LoadModalitiesd
from tests.bundles.bundle_runs import HEADS, LIGHT_HEAD, VERSIONS, on_brain, run_in_two_processes, run_workflow

SHAPE = (22, 20, 16)
TINY = {
    "iterations_per_epoch": 1,
    "val_interval": 1,
    "patch_size": [14, 14, 7],
    "validation_size": [14, 14, 14],
    "device": "$torch.device('cpu')",
}


@pytest.fixture(scope="module")
def dataset_dir(write_rmr_case, tmp_path_factory):
    folder = tmp_path_factory.mktemp("brains")
    parts = ("training", "training", "unlabelled_training", "validation")
    sections = {name: [] for name in parts}
    for number, part in enumerate(parts):
        write_rmr_case(folder / f"s{number}", number)
        item = {"subject": f"s{number}", **{name: f"s{number}/{name}.nii.gz" for name in ("t1", "flair", "label")}}
        if part == "unlabelled_training":
            del item["label"]
        sections[part].append(item)
    (folder / "datalist.json").write_text(json.dumps(sections))
    return folder


@pytest.fixture(scope="module")
def overrides(dataset_dir, rmr_bundle):
    return {**TINY, **VERSIONS, "bundle_root": str(rmr_bundle), "dataset_dir": str(dataset_dir)}


def run(rmr_bundle, configs, folder, **overrides):
    return run_workflow(
        rmr_bundle, configs, "train", **{"ckpt_dir": str(folder), "output_dir": str(folder / "eval"), **overrides}
    )


def load(path):
    return torch.load(path, weights_only=True)


def assert_same(first, second):
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def autoencoder_part(state):
    """The frozen part of a whole network's weights, named as stage 1 names it."""
    prefix = "autoencoder."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


@pytest.fixture(scope="module")
def stage1(rmr_bundle, overrides, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage1")
    return folder, run(rmr_bundle, ["train_autoencoder"], folder, max_epochs=2, **overrides)


@pytest.fixture(scope="module")
def stage2(rmr_bundle, overrides, stage1, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stage2")
    keys = {**overrides, **LIGHT_HEAD, "autoencoder_checkpoint": str(stage1[0] / "autoencoder.pt")}
    return folder, run(rmr_bundle, ["train"], folder, max_epochs=2, **keys)


def test_stage_1_saves_weights_that_differ_from_the_start_and_names_its_losses(stage1):
    folder, workflow = stage1
    assert {path.name for path in folder.glob("*.pt")} == {
        "autoencoder_checkpoint_epoch=1.pt",
        "autoencoder_checkpoint_epoch=2.pt",
        "autoencoder.pt",
    }
    DegradationAutoencoder().load(folder / "autoencoder.pt")
    states = [load(folder / f"autoencoder_checkpoint_epoch={epoch}.pt")["model"] for epoch in (1, 2)]
    weights = [key for key in states[0] if states[0][key].is_floating_point()]
    assert np.mean([torch.equal(states[0][key], states[1][key]) for key in weights]) < 0.1
    parts = LossParts(workflow.parser.get_parsed_content("loss"))()
    assert parts.keys() == {"L_IR_clean", "L_IR_degraded", "L_IR", "L_FR", "L_TR"}
    assert parts["L_TR"] == pytest.approx(parts["L_IR"] + parts["L_FR"], rel=1e-5)
    assert list((folder / "eval").glob("events.out.tfevents.*"))
    # Training takes the case without label too.
    cases = workflow.parser.get_parsed_content("train#dataset#data")
    assert [case["subject"] for case in cases] == ["s0", "s1", "s2"]


def test_stage_2_trains_its_own_parts_and_leaves_the_frozen_ones(stage1, stage2):
    folder, workflow = stage2
    before, after = load(stage1[0] / "autoencoder.pt"), load(folder / "rmr_checkpoint_epoch=2.pt")["model"]
    assert_same(before, autoencoder_part(after))
    first = load(folder / "rmr_checkpoint_epoch=1.pt")["model"]
    for part in ("fusion.", "semantic_head."):
        assert any(not torch.equal(first[key], after[key]) for key in after if key.startswith(part)), part
    optimised = workflow.parser.get_parsed_content("optimizer").param_groups[0]["params"]
    kept = workflow.parser.get_parsed_content("network_def").autoencoder.parameters()
    assert not {id(parameter) for parameter in optimised} & {id(parameter) for parameter in kept}
    parts = LossParts(workflow.parser.get_parsed_content("loss"))()
    assert parts.keys() == {"L_VF", "L_VF_intensity", "L_VF_gradient", "L_LS", "L_CE", "L_MF"}
    assert parts["L_VF"] == pytest.approx(parts["L_VF_intensity"] + 0.02 * parts["L_VF_gradient"], rel=1e-5)


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_a_run_resumed_at_an_epoch_boundary_ends_with_the_same_bits(
    stage, request, rmr_bundle, overrides, stage1, tmp_path
):
    folder, _ = request.getfixturevalue(stage)
    config, prefix = {"stage1": ("train_autoencoder", "autoencoder"), "stage2": ("train", "rmr")}[stage]
    keys = overrides
    if stage == "stage2":
        keys = {**overrides, **LIGHT_HEAD, "autoencoder_checkpoint": str(stage1[0] / "autoencoder.pt")}
    shutil.copy(folder / f"{prefix}_checkpoint_epoch=1.pt", tmp_path)
    run(rmr_bundle, [config], tmp_path, max_epochs=2, **keys)
    whole, resumed = (load(path / f"{prefix}_checkpoint_epoch=2.pt") for path in (folder, tmp_path))
    assert whole["best"] == resumed["best"]
    assert_same(whole["model"], resumed["model"])


def test_two_stages_in_one_run_are_the_two_runs_and_a_finished_stage_is_passed(rmr_bundle, overrides, stage1, tmp_path):
    keys = {**overrides, **LIGHT_HEAD, "max_epochs": 1, "stage1#max_epochs": 2}
    keys |= {f"stage1#{name}": TINY[name] for name in TINY if name != "device"}
    run(rmr_bundle, ["two_stage"], tmp_path, **keys)
    assert_same(load(stage1[0] / "autoencoder.pt"), load(tmp_path / "autoencoder.pt"))
    assert json.loads((tmp_path / "autoencoder_complete.json").read_text())["max_epochs"] == 2
    assert_same(load(tmp_path / "autoencoder.pt"), autoencoder_part(load(tmp_path / "model.pt")))
    written = (tmp_path / "autoencoder.pt").stat().st_mtime_ns

    workflow = run(rmr_bundle, ["two_stage"], tmp_path, **{**keys, "max_epochs": 2})
    assert (tmp_path / "autoencoder.pt").stat().st_mtime_ns == written
    stages = workflow.parser.get_parsed_content("stages")
    assert stages.second.parser.get_parsed_content("train#trainer").state.epoch == 2
    assert load(tmp_path / "rmr_checkpoint_epoch=2.pt")["trainer"]["iteration"] == 2

    # Other settings of stage 1 are another stage 1.
    other = ConfigWorkflow(
        str(rmr_bundle / "configs" / "two_stage.json"),
        workflow_type="train",
        **{**keys, "ckpt_dir": str(tmp_path), "stage1#alpha": 0.5},
    )
    other.initialize()
    assert not other.parser.get_parsed_content("stages").is_complete()


def one_step(rmr_bundle, overlays, folder, **keys):
    keys = {**keys, "max_epochs": 1, "val_interval": 2, "checkpoint_handlers": [], "resume": False}
    return run(rmr_bundle, ["train", *overlays], folder, **keys)


@pytest.mark.parametrize("overlay", HEADS)
def test_every_head_trains_a_step_and_infers(overlay, rmr_bundle, overrides, stage1, tmp_path):
    keys = {**overrides, "autoencoder_checkpoint": str(stage1[0] / "autoencoder.pt")}
    workflow = one_step(rmr_bundle, [overlay], tmp_path, **keys)
    network = workflow.parser.get_parsed_content("network")
    assert type(network.semantic_head.network).__name__ == HEADS[overlay]
    moved = workflow.parser.get_parsed_content("optimizer").state
    # A step without gradient would leave Adam's second moment at zero.
    heads = [
        moved[parameter]["exp_avg_sq"].any() for parameter in network.semantic_head.parameters() if parameter in moved
    ]
    assert np.mean(heads) > 0.8
    with torch.no_grad():
        output = network.eval()(torch.rand(1, 2, 9, 7, 5))
    assert output.shape == (1, 6, 9, 7, 5)
    assert output.isfinite().all()


ABLATIONS = ["without_segmentation_loss", "without_fusion_loss", "head_only", "degrade_stage2", "tune_encoders"]


@pytest.mark.parametrize("overlay", ABLATIONS)
def test_ablations_train_a_step_and_change_what_they_name(overlay, rmr_bundle, overrides, stage1, tmp_path):
    # The overlay of a head is a file, so that the ablation after it can change it.
    keys = {**overrides, "autoencoder_checkpoint": str(stage1[0] / "autoencoder.pt"), "modality_dropout": 0.0}
    if overlay == "head_only":
        keys["autoencoder_checkpoint"] = str(tmp_path / "nothing.pt")
    workflow = one_step(rmr_bundle, ["head_segresnet", overlay], tmp_path, **keys)
    parts = workflow.parser.get_parsed_content("loss").parts.keys()
    visual, segmentation = {"L_VF", "L_VF_intensity", "L_VF_gradient"}, {"L_LS", "L_CE"}
    if overlay == "without_segmentation_loss":
        assert parts == visual | {"L_MF"}
        assert list(workflow.parser["validate#key_metric"]) == ["val_SCD"]
    elif overlay == "without_fusion_loss":
        assert parts == segmentation | {"L_MF"}
    elif overlay == "head_only":
        assert parts == segmentation | {"L_MF"}
        network = workflow.parser.get_parsed_content("network")
        assert isinstance(network, SemanticHeadOnly)
        image = torch.rand(1, 2, 8, 8, 8)
        assert torch.equal(network(image)[:, -1], image.mean(dim=1))
    elif overlay == "tune_encoders":
        before, after = load(keys["autoencoder_checkpoint"]), workflow.parser.get_parsed_content("network").autoencoder
        moved = {
            name.split(".")[0] for name, value in after.state_dict().items() if not torch.equal(value, before[name])
        }
        assert moved == {"encoder_x", "encoder_y"}
        one, other = workflow.parser.get_parsed_content("optimizer").param_groups
        assert other["initial_lr"] == pytest.approx(0.1 * one["initial_lr"])
    else:
        assert parts == visual | segmentation | {"L_MF"}
        batch = next(iter(workflow.parser.get_parsed_content("train#dataloader")))
        inputs, target, _, keywords = workflow.parser.get_parsed_content("train#prepare_batch")(batch)
        # The images that the network sees, then what the frozen encoders made of them.
        assert keywords == {"encoded": True} and inputs.shape[1] == 34
        assert torch.equal(inputs[:, :2], batch["seen"].as_subclass(torch.Tensor))
        assert torch.equal(target["image"], batch["image"].as_subclass(torch.Tensor))
        assert 0 < (inputs[:, :2] - target["image"]).abs().mean() < 0.2


def dice(prediction, label, number):
    both = np.sum((prediction == number) & (label == number))
    return 2 * both / (np.sum(prediction == number) + np.sum(label == number))


def evaluation_keys(overrides, folder):
    keys = {key: overrides[key] for key in ("bundle_root", "dataset_dir", "device")}
    # VIF takes slices from 41 x 41 on.
    without = {"fusion_metrics#VIF#_disabled_": True}
    return {**keys, **LIGHT_HEAD, **without, "checkpoint": str(folder / "model.pt"), "data_name": "tiny"}


@pytest.mark.parametrize(("overlays", "method"), [([], "average"), (["evaluate_flair"], "flair_alone")])
def test_fusion_is_compared_with_no_fusion_at_all(rmr_bundle, overrides, dataset_dir, tmp_path, overlays, method):
    keys = {key: overrides[key] for key in ("bundle_root", "dataset_dir", "device")}
    keys |= {"fusion_metrics#VIF#_disabled_": True, "data_name": "tiny", "output_dir": str(tmp_path)}
    run(rmr_bundle, ["train", "evaluate", "evaluate_average", *overlays], tmp_path, **keys)
    with (tmp_path / f"tiny_{method}_clean.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert set(row) == {"case", "EN", "FMI", "AG", "SCD", "SSIM", "SD", "MI", "Qabf"}
    case = {"image": [str(dataset_dir / "s3" / f"{name}.nii.gz") for name in ("t1", "flair")]}
    image = LoadModalitiesd(label_key="")(case)["image"].as_tensor()[None]
    fused = image.mean(dim=1, keepdim=True) if method == "average" else image[:, 1:]
    similarity = CorrelationOfDifferencesMetric()
    similarity(y_pred=fused, y=image)
    assert float(row["SCD"]) == pytest.approx(float(similarity.aggregate()), abs=2e-3)
    assert "## Segmentation" not in (tmp_path / "tiny_comparison.md").read_text()


def test_evaluation_writes_what_the_network_predicts_and_a_comparison(
    rmr_bundle, overrides, stage2, dataset_dir, tmp_path
):
    keys = {**evaluation_keys(overrides, stage2[0]), "output_dir": str(tmp_path)}
    workflow = run(rmr_bundle, ["train", "evaluate"], tmp_path, **keys)
    run(rmr_bundle, ["train", "evaluate"], tmp_path, **keys, degrade=True)
    names = {path.name for path in tmp_path.iterdir()}
    files = {f"tiny_rmr_fusion_{name}.{kind}" for name in ("clean", "degraded") for kind in ("csv", "json")}
    assert names == files | {"tiny_comparison.md"}

    rows = {}
    for condition in ("clean", "degraded"):
        with (tmp_path / f"tiny_rmr_fusion_{condition}.csv").open() as file:
            (rows[condition],) = csv.DictReader(file)
    row = rows["clean"]
    assert row["case"] == "s3"
    # By hand: the brain in one window of the head.
    case = {"image": [str(dataset_dir / "s3" / f"{name}.nii.gz") for name in ("t1", "flair")]}
    item = LoadModalitiesd(label_key="")(case)
    network = workflow.parser.get_parsed_content("network").eval()
    output, brain = on_brain(network, item)
    prediction = ((1 + output[1:5].argmax(dim=0)) * brain).numpy()  # inside the brain nothing is background
    label = nib.load(dataset_dir / "s3" / "label.nii.gz").get_fdata()
    expected = [dice(prediction, label, number) for number in (1, 2, 3, 4)]
    measured = [float(row[f"Dice_{name}"]) for name in ("CSF", "GM", "WM", "WML")]
    assert measured == pytest.approx(expected, abs=2e-3)
    assert float(row["Dice_mean"]) == pytest.approx(np.mean(measured), abs=1e-5)
    assert {"HD95_WML", "F1_WML", "EN", "FMI", "AG", "SCD", "SSIM", "SD", "MI", "Qabf"} <= row.keys()
    # The fused volume is compared with the images it was made of.
    similarity = CorrelationOfDifferencesMetric()
    similarity(y_pred=output[None, 5:].clamp(0, 1) * brain, y=item["image"].as_tensor()[None])
    assert float(row["SCD"]) == pytest.approx(float(similarity.aggregate()), abs=2e-3)
    assert rows["degraded"]["Dice_GM"] != row["Dice_GM"]

    summary = json.loads((tmp_path / "tiny_rmr_fusion_clean.json").read_text())
    assert summary["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert summary["metrics"]["EN"]["mean"] == pytest.approx(float(row["EN"]), abs=1e-5)
    table = (tmp_path / "tiny_comparison.md").read_text()
    published = "| RMR-Fusion, as published (on MRBrainS) | degraded | | 0.7780 | 0.8035 | 0.7909 | 0.6568 | 0.7573 |"
    assert published in table
    assert "| RMR-Fusion, as published (on MRBrainS) | 0.0275 |" in table
    drop = float(row["Dice_mean"]) - float(rows["degraded"]["Dice_mean"])
    line = next(line for line in table.splitlines() if line.startswith("| rmr_fusion |") and line.count("|") == 3)
    assert float(line.split("|")[2]) == pytest.approx(drop, abs=2e-4)


def test_missing_stage_1_is_one_line_with_its_command(rmr_bundle, overrides, tmp_path):
    files = str(rmr_bundle / "configs" / "train.json")
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", files]
    for key in ("bundle_root", "dataset_dir"):
        command += [f"--{key}", overrides[key]]
    command += ["--autoencoder_checkpoint", str(tmp_path / "none.pt"), "--ckpt_dir", str(tmp_path)]
    command += ["--output_dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if "none.pt" in line]
    assert line.startswith(
        f"error: autoencoder_checkpoint: {tmp_path / 'none.pt'} does not exist: train stage 1 first: "
    )
    assert "python -m monai.bundle run training --config_file rmr_fusion_bundle/configs/train_autoencoder.json" in line
    assert "Traceback" not in done.stderr


@pytest.mark.full
def test_the_default_head_trains_validates_and_is_resumed_by_the_runner(rmr_bundle, overrides, stage1, tmp_path):
    keys = {**overrides, "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "eval")}
    keys |= {"autoencoder_checkpoint": str(stage1[0] / "autoencoder.pt")}
    for epochs in (1, 2):
        command = [sys.executable, "-m", "monai.bundle", "run"]
        command += ["--config_file", str(rmr_bundle / "configs" / "train.json"), "--max_epochs", str(epochs)]
        for key, value in keys.items():
            command += [f"--{key}", value if isinstance(value, str) else str(value)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        assert load(tmp_path / f"rmr_checkpoint_epoch={epochs}.pt")["trainer"]["iteration"] == epochs


@pytest.mark.full
def test_two_processes_train_both_stages_and_evaluate_as_one_does(rmr_bundle, overrides, tmp_path):
    keys = {**overrides, "max_epochs": 1, "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "one_process")}
    keys.pop("device")
    stage_1 = {key: value for key, value in keys.items() if key not in VERSIONS}
    run_in_two_processes(rmr_bundle, ["train_autoencoder", "multi_gpu_train_autoencoder"], "training", **stage_1)
    keys |= {"autoencoder_checkpoint": str(tmp_path / "autoencoder.pt"), "output_dir": str(tmp_path / "two")}
    run_in_two_processes(rmr_bundle, ["train", "head_segresnet", "multi_gpu_train"], "training", **keys)
    assert_same(load(tmp_path / "autoencoder.pt"), autoencoder_part(load(tmp_path / "model.pt")))
    # Training and validation write a file each (the images share the validation's), in the first process only.
    assert 2 <= len(list((tmp_path / "two").glob("events.out.tfevents.*"))) <= 3
    keys = evaluation_keys(overrides, tmp_path)
    for name in (*LIGHT_HEAD, "device"):
        keys.pop(name)
    keys |= {"section": "training"}
    run_in_two_processes(
        rmr_bundle,
        ["train", "head_segresnet", "evaluate", "multi_gpu_evaluate"],
        "evaluating",
        **{**keys, "output_dir": str(tmp_path / "2")},
    )
    keys |= {"output_dir": str(tmp_path / "1"), "device": overrides["device"]}
    run(rmr_bundle, ["train", "head_segresnet", "evaluate"], tmp_path, **keys)
    tables = []
    for folder in ("1", "2"):
        with (tmp_path / folder / "tiny_rmr_fusion_clean.csv").open() as file:
            tables.append({row.pop("case"): row for row in csv.DictReader(file)})
    assert tables[0].keys() == tables[1].keys() == {"s0", "s1"}
    for case, row in tables[0].items():
        for name in ("Dice_GM", "SCD"):
            assert float(tables[1][case][name]) == pytest.approx(float(row[name]), abs=1e-3), (case, name)


def test_whole_volume_in_one_window_is_the_network(stage2):
    """What the evaluation test takes for granted: one window of the head is the plain forward."""
    network = stage2[1].parser.get_parsed_content("network").eval()
    image = torch.rand(1, 2, *SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(EncodeOnceInferer((84, 84, 28))(image, network), network(image), atol=1e-5)
