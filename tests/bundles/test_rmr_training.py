"""RMR-Fusion's training and evaluation configs on tiny volumes, in process and by the stock runner."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow

from benchmarks.toy_data import FEW_VERSIONS
from shared_networks.handlers import LossParts
from shared_networks.metrics import CorrelationOfDifferencesMetric
from shared_networks.nets import DegradationAutoencoder, SemanticHeadOnly
from shared_networks.transforms import LoadModalitiesd
from tests.bundles.bundle_runs import (
    HEADS,
    LIGHT_HEAD,
    TINY_VOLUMES,
    on_brain,
    parse,
    read_table,
    run_in_two_processes,
    run_workflow,
    stock_runner,
)

TINY = {key: value for key, value in TINY_VOLUMES.items() if key not in ("max_epochs", "num_workers")}
TINY |= {"device": "$torch.device('cpu')"}


@pytest.fixture(scope="module")
def dataset_dir(write_brains, tmp_path_factory):
    return write_brains(tmp_path_factory.mktemp("brains"), training=2, unlabelled_training=1, validation=1)


@pytest.fixture(scope="module")
def overrides(dataset_dir, rmr_bundle):
    return {**TINY, **FEW_VERSIONS, "bundle_root": str(rmr_bundle), "dataset_dir": str(dataset_dir)}


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


@pytest.mark.parametrize("overlay", HEADS)
def test_every_head_learns_from_a_patch_and_takes_any_size(overlay, rmr_bundle):
    network = parse(rmr_bundle, f"train+{overlay}").get_parsed_content("network_def").train()
    assert type(network.semantic_head.network).__name__ == HEADS[overlay]
    network(torch.rand(1, 2, *TINY["patch_size"])).square().mean().backward()
    gradients = [parameter.grad for parameter in network.semantic_head.parameters() if parameter.grad is not None]
    assert np.mean([gradient.any() for gradient in gradients]) > 0.8
    for size in ((9, 7, 5), (1, 1, 1), (16, 16, 8)):
        with torch.no_grad():
            output = network.eval()(torch.rand(1, 2, *size))
        assert output.shape == (1, 6, *size) and output.isfinite().all(), size


VISUAL, SEGMENTATION = {"L_VF", "L_VF_intensity", "L_VF_gradient"}, {"L_LS", "L_CE"}
ABLATIONS = {
    "without_segmentation_loss": VISUAL,
    "without_fusion_loss": SEGMENTATION,
    "head_only": SEGMENTATION,
    "degrade_stage2": VISUAL | SEGMENTATION,
    "tune_encoders": VISUAL | SEGMENTATION,
}


@pytest.mark.parametrize("overlay", ABLATIONS)
def test_ablations_change_what_they_name(overlay, rmr_bundle, overrides):
    parser = parse(rmr_bundle, f"train+head_segresnet+{overlay}", **overrides, modality_dropout=0.0)
    loss, network = (parser.get_parsed_content(name) for name in ("loss_function", "network_def"))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    target = {"image": torch.rand(1, 2, 8, 8, 8), "label": torch.randint(0, 5, (1, 1, 8, 8, 8))}
    target |= {"marked": torch.tensor([False])}
    loss(network.train()(target["image"]), target).backward()
    assert loss.parts.keys() == ABLATIONS[overlay] | {"L_MF"}
    if overlay == "without_segmentation_loss":
        assert list(parser["validate#key_metric"]) == ["val_SCD"]
    elif overlay == "head_only":
        assert isinstance(network, SemanticHeadOnly)
        assert not any("load_autoencoder" in step for step in parser["run"])  # it has none
        assert torch.equal(network(target["image"])[:, -1], target["image"].mean(dim=1))
    elif overlay == "tune_encoders":
        optimizer = parser.get_parsed_content("optimizer")
        optimizer.step()
        after = network.autoencoder.state_dict()
        moved = {
            name.split(".")[0] for name, value in after.items() if not torch.equal(value, before[f"autoencoder.{name}"])
        }
        assert {name.split(".")[0] for name in moved} == {"encoder_x", "encoder_y"}
        one, other = optimizer.param_groups
        assert other["lr"] == pytest.approx(0.1 * one["lr"])
    elif overlay == "degrade_stage2":
        batch = next(iter(parser.get_parsed_content("train#dataloader")))
        inputs, target, _, keywords = parser.get_parsed_content("train#prepare_batch")(batch)
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
    (row,) = read_table(tmp_path / f"tiny_{method}_clean.csv")
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

    (row,), (degraded,) = (read_table(tmp_path / f"tiny_rmr_fusion_{name}.csv") for name in ("clean", "degraded"))
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
    assert degraded["Dice_GM"] != row["Dice_GM"]

    summary = json.loads((tmp_path / "tiny_rmr_fusion_clean.json").read_text())
    assert summary["parameters"] == sum(parameter.numel() for parameter in network.parameters())
    assert summary["metrics"]["EN"]["mean"] == pytest.approx(float(row["EN"]), abs=1e-5)
    table = (tmp_path / "tiny_comparison.md").read_text()
    published = "| RMR-Fusion, as published (on MRBrainS) | degraded | | 0.7780 | 0.8035 | 0.7909 | 0.6568 | 0.7573 |"
    assert published in table
    assert "| RMR-Fusion, as published (on MRBrainS) | 0.0275 |" in table
    drop = float(row["Dice_mean"]) - float(degraded["Dice_mean"])
    line = next(line for line in table.splitlines() if line.startswith("| rmr_fusion |") and line.count("|") == 3)
    assert float(line.split("|")[2]) == pytest.approx(drop, abs=2e-4)


@pytest.mark.full
def test_the_default_head_trains_validates_and_is_resumed_by_the_runner(rmr_bundle, overrides, stage1, tmp_path):
    keys = {**overrides, "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "eval")}
    keys |= {"autoencoder_checkpoint": str(stage1[0] / "autoencoder.pt")}
    keys.pop("bundle_root")
    for epochs in (1, 2):
        done = stock_runner(rmr_bundle, "train", max_epochs=epochs, **keys)
        assert done.returncode == 0, done.stderr[-2000:]
        assert load(tmp_path / f"rmr_checkpoint_epoch={epochs}.pt")["trainer"]["iteration"] == epochs


@pytest.mark.full
def test_two_processes_train_both_stages_and_evaluate_as_one_does(rmr_bundle, overrides, tmp_path):
    keys = {**overrides, "max_epochs": 1, "ckpt_dir": str(tmp_path), "output_dir": str(tmp_path / "one_process")}
    keys = {key: value for key, value in keys.items() if key not in ("device", "bundle_root")}
    stage_1 = {key: value for key, value in keys.items() if key not in FEW_VERSIONS}
    run_in_two_processes(rmr_bundle, ["train_autoencoder", "multi_gpu_train_autoencoder"], "training", **stage_1)
    keys |= {"autoencoder_checkpoint": str(tmp_path / "autoencoder.pt"), "output_dir": str(tmp_path / "two")}
    run_in_two_processes(rmr_bundle, ["train", "head_segresnet", "multi_gpu_train"], "training", **keys)
    assert_same(load(tmp_path / "autoencoder.pt"), autoencoder_part(load(tmp_path / "model.pt")))
    # Training and validation write a file each (the images share the validation's), in the first process only.
    assert 2 <= len(list((tmp_path / "two").glob("events.out.tfevents.*"))) <= 3
    keys = evaluation_keys(overrides, tmp_path)
    for name in (*LIGHT_HEAD, "device", "bundle_root"):
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
    tables = [
        {row["case"]: row for row in read_table(tmp_path / folder / "tiny_rmr_fusion_clean.csv")} for folder in "12"
    ]
    assert tables[0].keys() == tables[1].keys() == {"s0", "s1"}
    for case, row in tables[0].items():
        for name in ("Dice_GM", "SCD"):
            assert float(tables[1][case][name]) == pytest.approx(float(row[name]), abs=1e-3), (case, name)
