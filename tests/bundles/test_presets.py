"""The presets hold the published numbers; a run that cannot mean what its user wants is refused."""

import math
from pathlib import Path
from pydoc import locate

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.bundle import run
from monai.data import MetaTensor

from shared_networks.data import evaluation_cases
from shared_networks.errors import InputError
from shared_networks.metrics import CaseMetric
from tests.bundles.bundle_runs import config_files, parse, refusal_of, walk

ROOT = Path(__file__).resolve().parents[2]
BUNDLE = ROOT / "rmr_fusion_bundle"

NOTHING_OF_OURS = {
    **dict.fromkeys(
        ("healed_lesions", "pasted_lesions", "thick_slices", "spatial", "degraded_share", "modality_dropout"), 0.0
    ),
    "weight_momentum": 0.0,
    "lesion_threshold": None,
    "smallest_lesion_ml": 0.0,
    "lesion_white_matter": 0.0,
    "crop_ratios": [],
    "ignore_label": None,
    "auxiliary_of": None,
    "batch_dice": False,
    "images_to_head": False,
}
STAGE_1 = {
    "alpha": 1.0,
    "detach_target": False,
    "image_mse": 40.0,
    "image_variation": 20.0,
    "image_similarity": 1.0,
    "feature_mse": 40.0,
    "feature_variation": 20.0,
    "optimizer#_target_": "torch.optim.Adam",
    "quarter_turns": 0.0,
}
STEPS = {
    "batch_size": 2,
    "patch_size": [128, 128, 32],
    "learning_rate": 1e-4,
    "weight_decay": 0.0,
    "gradient_clip": 0.0,
}
PAPER = {
    "train_autoencoder+paper_autoencoder": {**STAGE_1, **STEPS, "max_epochs": 200, "feature_similarity": 1.0},
    "train+paper": {
        **NOTHING_OF_OURS,
        **STEPS,
        "max_epochs": 140,
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
        **STAGE_1,
        "batch_size": 1,
        "weight_decay": 5e-5,
        "feature_similarity": 0.0,
        "lr_scheduler#T_max": 300,
        "noise_std": [0.0, 0.1],
        "blur_sigma": [0.1, 3.0],
        "broken_windows": [8, 8],
        "window_size": 1 / 8,
    },
    "train+released": {
        **NOTHING_OF_OURS,
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
GESENET = {
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
    "input_key": "image",
    "align_pictures": False,
    "black_background": False,
    "weight_momentum": 0.0,
    "mid_grey": None,
    # 150 pairs of each of three modalities, every 24 x 24 window at a stride of 8 in 256 x 256, four a batch.
    "iterations_per_epoch": 3 * 150 * ((256 - 24) // 8 + 1) ** 2 // 4,
}


@pytest.mark.parametrize(
    ("bundle", "names", "published"),
    [("gesenet_bundle", "train+paper", GESENET)]
    + [("rmr_fusion_bundle", names, numbers) for names, numbers in PAPER.items()],
)
def test_preset_has_the_published_numbers(bundle, names, published):
    parser = parse(ROOT / bundle, names)
    for key, value in published.items():
        found = parser[key] if key.endswith("_target_") else parser.get_parsed_content(key)
        assert found == value, key


@pytest.mark.parametrize("names", ["train", "train+evaluate", "train+prostate158", "train+mrbrains+evaluate"])
def test_every_score_of_a_label_map_leaves_out_what_nobody_classified(names):
    """As the loss does: a label of 255 is no error of a network."""
    items = [item for item in walk(parse(BUNDLE, names).get()) if isinstance(item, dict)]
    items = [item for item in items if str(item.get("_target_")).startswith("shared_networks.metrics.")]
    scores = [item for item in items if issubclass(locate(item["_target_"]), CaseMetric)]
    assert scores and all(item["ignore_label"] == "@ignore_label" for item in scores)


def test_number_of_parameters():
    """63.09 M with the overlay of the paper's size, and less than 25 MB of weights without it."""
    networks = [parse(BUNDLE, names).get_parsed_content("network_def") for names in ("train", "train+paper_size")]
    shipped, paper = (sum(parameter.numel() for parameter in network.parameters()) for network in networks)
    assert paper == 63_085_000
    assert 4 * shipped < 25 * 2**20


RATES = {
    "train+paper": {0: 1e-4, 1: 1e-4, 139: 1e-4},
    "train+released": {0: 0.0, 1: 1e-4 / 50, 50: 1e-4, 100: 0.5e-4, 149: 1e-4 * (1 + math.cos(math.pi * 0.99)) / 2},
    "train_autoencoder+paper_autoencoder": {0: 1e-4, 199: 1e-4},
    "train_autoencoder+released_autoencoder": {0: 1e-4, 150: 0.5e-4, 299: 1e-4 * (1 - math.cos(math.pi / 300)) / 2},
}
"""Configs -> epochs that are over -> learning rate of the next one."""


@pytest.mark.parametrize("names", RATES)
def test_the_learning_rate_follows_the_published_schedule(names):
    """By the trainer's own handler, with three iterations in an epoch."""
    parser = parse(BUNDLE, names, **({"feature_size": 12} if names.startswith("train+") else {}))
    (number,) = (
        number for number, item in enumerate(parser["train#handlers"]) if item.get("_target_") == "LrScheduleHandler"
    )
    optimizer, handler = (parser.get_parsed_content(key) for key in ("optimizer", f"train#handlers#{number}"))
    rates = []
    trainer = Engine(lambda engine, batch: optimizer.step())
    trainer.add_event_handler(Events.EPOCH_STARTED, lambda: rates.append(optimizer.param_groups[0]["lr"]))
    handler.attach(trainer)
    trainer.run(range(3), max_epochs=parser["max_epochs"])
    assert [rates[epoch] for epoch in RATES[names]] == pytest.approx(list(RATES[names].values()), abs=1e-9)


def test_released_stage_1_makes_three_negatives():
    parser = parse(BUNDLE, "train_autoencoder+released_autoencoder")
    transforms = parser["train#random_transforms"]
    assert [item["_target_"].rpartition(".")[2] for item in transforms].count("RandDegradeEachd") == 1
    assert not any(item["_target_"].endswith(".RandDegraded") for item in transforms)
    transform = parser.get_parsed_content("train#random_transforms")[-1]
    image = np.random.default_rng(0).random((2, 16, 16, 8)).astype(np.float32)
    assert transform({"image": image})["degraded"].shape == (6, 16, 16, 8)


@pytest.fixture(scope="module")
def dataset(write_brains, tmp_path_factory):
    """A case in each section; that of the tests has no label."""
    return str(write_brains(tmp_path_factory.mktemp("brains"), training=1, validation=1, test=1))


COMMAND = "none.pt does not exist: train stage 1 first: python -m monai.bundle run training --config_file "
SET_DATA = "dataset_dir or datalist is not set: give --dataset_dir FOLDER"


@pytest.mark.parametrize("preset", ["paper", "released"])
def test_presets_take_the_cases_as_they_are_but_flipped(preset, dataset):
    parser = parse(BUNDLE, f"train+{preset}", dataset_dir=dataset, patch_size=[12, 14, 8])
    random = np.random.default_rng(0)
    image, label = random.random((2, 24, 20, 10)).astype(np.float32), random.integers(0, 5, (1, 24, 20, 10))
    item = {"image": image, "label": label, "brain": np.ones_like(label)}
    item = {key: MetaTensor(value.astype(np.float32)) for key, value in item.items()}
    altered = parser.get_parsed_content("train#augmentation").set_random_state(1)(dict(item))
    assert torch.equal(altered["seen"], altered["image"])
    flips = [item["image"].flip(axes) for axes in ([], [1], [2], [1, 2])]
    assert any(torch.equal(altered["image"], flipped) for flipped in flips)
    crop = parser.get_parsed_content("train#cropping").set_random_state(1)(altered)
    assert crop["seen"].shape == (2, 12, 14, 8) and crop["label"].shape == (1, 12, 14, 8)


@pytest.mark.parametrize(("pasted", "sources"), [(0.0, []), (0.5, ["s0"])])
def test_pasted_lesions_are_those_of_the_training_cases(pasted, sources, dataset):
    parser = parse(BUNDLE, "train", dataset_dir=dataset, pasted_lesions=pasted)
    transforms = parser.get_parsed_content("train#augmentation").transforms
    pasting = [one for one in transforms if type(one).__name__ == "RandPasteLesionsd"]
    assert [one.prob for one in pasting] == [pasted] * bool(pasted)
    assert [donor["case"] for one in pasting for donor in one.donors] == sources


@pytest.mark.parametrize("head", ["", "+head_unet", "+head_unetr"])
def test_several_processes_know_of_weights_without_gradient(head):
    """DistributedDataParallel waits for the gradient of every weight, unless it is told that some have none."""
    parser = parse(BUNDLE, f"train{head}+multi_gpu_train")
    network = parser.get_parsed_content("semantic_head")
    size = [64, 64, 32] if head == "+head_unetr" else [32, 32, 16]
    output = network(torch.rand(1, parser.get_parsed_content("head_channels"), *size))
    output.sum().backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert bool(without) == parser.get_parsed_content("has_unused_weights") == (head == "+head_unetr")


@pytest.mark.parametrize(
    ("names", "batches"),
    [("train+paper", 2), ("train+released", 3)]
    + [(f"train_autoencoder+{preset}_autoencoder", count) for preset, count in (("paper", 2), ("released", 3))],
)
def test_an_epoch_of_a_preset_has_as_many_patches_as_there_are_cases(names, batches, write_brains, tmp_path):
    folder = write_brains(tmp_path / "brains", training=3, validation=1)
    parser = parse(BUNDLE, names, dataset_dir=str(folder), feature_size=12)
    assert parser.get_parsed_content("iterations_per_epoch") == batches
    if names.startswith("train+"):
        assert [parser.get_parsed_content(key) for key in ("versions", "renewed")] == [3, 3]
    else:
        transforms = [type(one).__name__ for one in parser.get_parsed_content("train#preprocessing").transforms]
        assert "RandFlipd" in transforms
        assert not {"RandBiasFieldd", "RandAdjustContrastd", "RandScaleIntensityd"} & set(transforms)


@pytest.mark.parametrize(
    ("names", "keys", "line"),
    [
        ("train", {"max_epoch": 3}, "unknown key 'max_epoch' (did you mean 'max_epochs'"),
        ("two_stage", {"stage1#max_epoch": 3}, "unknown key 'stage1#max_epoch' (did you mean 'stage1#max_epochs'"),
        *((names, {"dataset_dir": ""}, SET_DATA) for names in ("train", "train_autoencoder", "two_stage")),
        (
            "train",
            {"autoencoder_checkpoint": "none.pt"},
            f"autoencoder_checkpoint: {COMMAND}rmr_fusion_bundle/configs/train_autoencoder.json",
        ),
        ("train+evaluate", {"checkpoint": "none.pt"}, "checkpoint: none.pt does not exist: give --checkpoint FILE"),
    ],
)
def test_a_run_that_cannot_be_meant_is_refused_in_one_line(names, keys, line, dataset):
    run_id = "evaluating" if "evaluate" in names else "training"
    given = {"bundle_root": str(BUNDLE), "dataset_dir": dataset, **keys}
    assert refusal_of(run, run_id=run_id, config_file=config_files(BUNDLE, names), **given).startswith(line)


def test_evaluation_takes_labelled_cases_of_one_section(dataset):
    with pytest.raises(InputError, match="s2 has no label to compare with"):
        evaluation_cases(dataset_dir=dataset, section="test")
    assert [case["subject"] for case in evaluation_cases(dataset_dir=dataset)] == ["s1"]
    held_out = evaluation_cases(dataset_dir=dataset, validation_subjects=["s0"])
    assert [case["subject"] for case in held_out] == ["s0"]
    assert evaluation_cases() == []
