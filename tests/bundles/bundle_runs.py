"""Running the configs of a bundle, in process and in two processes, for the tests of both bundles."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import CropForegroundd, SaveImaged

from shared_networks.runner.one_line_errors import find_input_error

HEADS = {
    "head_unet": "UNet",
    "head_vnet": "VNet",
    "head_segresnet": "SegResNet",
    "head_unetr": "UNETR",
    "head_ux_net": "UXNet3D",
    "head_mednext": "MedNeXt",
    "head_dynunet": "DynUNet",
    "head_hyper_dense": "HyperDenseNet",
    "head_swin_unetr": "SwinUNETR",
}
"""Overlay of RMR-Fusion's train.json -> class of the head that it puts in."""

ABLATIONS = ["edge_enhancement", "region_mask", "global_refinement", "skip", "edge_loss", "semantic_loss"]
LISTS = {
    "gesenet_bundle": [
        "inference",
        "inference+multi_gpu_inference",
        "train_semantic",
        "train",
        "train+paper",
        "train+multi_gpu_train",
        *(f"train+without_{name}" for name in ABLATIONS),
        "train+mask_before_edge",
        "train+robust_training",
        "train+evaluate",
        "train+evaluate+multi_gpu_evaluate",
        "train+evaluate+evaluate_maximum",
        "train+evaluate+evaluate_average",
        "train+evaluate+evaluate_laplacian_pyramid",
        "train+evaluate+evaluate_guided_filter",
        "train+evaluate+evaluate_dual_tree",
        "train+evaluate+evaluate_maximum+evaluate_disturbed",
        "train+evaluate+evaluate_released",
    ],
    "rmr_fusion_bundle": [
        "inference",
        "inference+multi_gpu_inference",
        "inference+paper_size",
        "train_autoencoder",
        "train_autoencoder+paper_autoencoder",
        "train_autoencoder+released_autoencoder",
        "train_autoencoder+prostate158_autoencoder",
        "train_autoencoder+multi_gpu_train_autoencoder",
        "two_stage",
        "train",
        *(f"train+{head}" for head in HEADS),
        "train+paper_size",
        "train+paper",
        "train+released",
        "train+without_segmentation_loss",
        "train+without_fusion_loss",
        "train+head_only",
        "train+degrade_stage2",
        "train+tune_encoders",
        "train+prostate158",
        "train+mrbrains",
        "train+multi_gpu_train",
        "train+evaluate",
        "train+evaluate+multi_gpu_evaluate",
        "train+evaluate+evaluate_average",
        "train+evaluate+evaluate_average+evaluate_flair",
        "train+evaluate+evaluate_average+evaluate_maximum",
        "train+evaluate+evaluate_average+evaluate_minimiser",
        "train+evaluate+evaluate_average+evaluate_dual_tree",
        "train+evaluate+evaluate_average+evaluate_gesenet",
    ],
}
"""Bundle -> the lists of configs that the documentation names or explains; "+" joins the files of a list."""

# A head that is small and takes any size; the default one is run once, on the shipped sample.
SMALL_HEAD = {
    "semantic_head": {
        "_target_": "UNet",
        "spatial_dims": 3,
        "in_channels": "@head_channels",
        "out_channels": "@head_classes",
        "channels": [4, 8],
        "strides": [2],
    },
    "head_divisor": 2,
    "roi_size": [28, 28, 28],
}
# A head that trains a step in a fraction of a second; it pads 14 x 14 x 7 to 16 x 16 x 8.
LIGHT_HEAD = {
    "semantic_head": {
        "_target_": "SegResNet",
        "spatial_dims": 3,
        "init_filters": 8,
        "in_channels": "@head_channels",
        "out_channels": "@head_classes",
        "blocks_down": [1, 1, 1],
        "blocks_up": [1, 1],
    },
    "head_divisor": 4,
}
# Trainings of a few steps, on the volumes of write_rmr_case and on the pictures of pairs.
TINY_VOLUMES = {
    "max_epochs": 1,
    "iterations_per_epoch": 1,
    "val_interval": 1,
    "patch_size": [14, 14, 7],
    "validation_size": [14, 14, 14],
    "num_workers": 0,
}
TINY_PICTURES = {
    "max_epochs": 2,
    "iterations_per_epoch": 2,
    "batch_size": 2,
    "patch_size": [48, 48],
    "val_interval": 1,
    "validation_every": 1,
    "validation_cases": {"CT": ["2"], "PET": ["2"]},
    "num_workers": 0,
}
# What a run of inference leaves beside the folders of its cases.
RUN_FILES = {"run_report.json", "cases.csv", "index.html"}
COLOUR_TABLES = {"fsleyes.lut", "freeview.txt", "itk_snap.label", "slicer.ctbl"}
# And in the folder of a case of RMR-Fusion: what the names end with.
CASE_FILES = ("fused.nii.gz", "preview.json", "qc.png", "report.json", "seg.nii.gz")


def walk(config) -> Iterator:
    """Every dictionary, list and value inside a config."""
    yield config
    for inner in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from walk(inner)


def config_files(bundle, names) -> list[str]:
    """Paths of a list of a bundle's configs; the names may be joined by "+"."""
    names = names.split("+") if isinstance(names, str) else names
    return [str(bundle / "configs" / f"{name}.json") for name in names]


def parse(bundle, names, **override) -> ConfigParser:
    """A list of a bundle's configs, on the CPU, with overrides."""
    parser = ConfigParser()
    parser.read_config(config_files(bundle, names))
    parser.update({"bundle_root": str(bundle), "device": "cpu", **override})
    return parser


def run_workflow(bundle, names, workflow_type, **overrides):
    """Run a list of a bundle's configs in process, with paths among the overrides as text; returns the workflow."""
    overrides = {"bundle_root": bundle, **overrides}
    overrides = {key: str(value) if isinstance(value, Path) else value for key, value in overrides.items()}
    workflow = ConfigWorkflow(config_files(bundle, names), workflow_type=workflow_type, logging_file=False, **overrides)
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return workflow


def refusal_of(call, *arguments, **keys) -> str:
    """The line of the input error that ends a call, whatever MONAI and Ignite have wrapped it into."""
    with pytest.raises(Exception) as caught:
        call(*arguments, **keys)
    error = find_input_error(caught.value)
    assert error is not None, caught.value
    return str(error)


def stock_runner(bundle, names, run_id="", launcher=(), cwd=None, **overrides) -> subprocess.CompletedProcess:
    """MONAI's runner on a list of a bundle's configs; without ``run_id`` it runs all steps in turn."""
    command = [sys.executable, *launcher, "-m", "monai.bundle", "run", *([run_id] if run_id else [])]
    command += ["--config_file", str(config_files(bundle, names)), "--bundle_root", str(bundle)]
    for key, value in overrides.items():
        command += [f"--{key}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=cwd, env=environment)


def run_in_two_processes(bundle, names, run_id, **overrides):
    """Run a list of a bundle's configs by torchrun with two processes on the CPU; fails when they fail."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    done = stock_runner(bundle, names, run_id, launcher, **overrides)
    assert done.returncode == 0, done.stderr[-2000:]


def read_table(path) -> list[dict[str, str]]:
    """Rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def on_brain(network, item, margin=(4, 4, 1)):
    """Output of RMR-Fusion's network on the brain with its margin, back on the grid in RAS, and the brain."""
    box = CropForegroundd(["image", "brain"], "brain", margin=margin, allow_smaller=False)
    cropped = box(item)
    with torch.no_grad():
        cropped["image"].set_array(network(cropped["image"].as_tensor()[None])[0])
    return box.inverse(cropped)["image"].as_tensor(), item["brain"][0].as_tensor()


def as_monai_label(bundle, image, network, scale=True, **override):
    """The item after what MONAI Label 0.8.5 does with inference.json: no read_meta, SaveImaged dropped; what it keeps.

    Preprocessing, inferer and postprocessing run one by one; ``scale`` asks for results in 0..255.
    """
    parser = ConfigParser()
    parser.read_config(config_files(bundle, "inference"))
    parser.config.update({"bundle_root": str(bundle), **override})
    parser["displayable_configs"].update({"scale_to_255": scale})
    parser.parse()
    data = {"image": str(image)}
    for transform in parser.get_parsed_content("preprocessing").transforms:
        data = transform(data)
    with torch.no_grad():
        data["pred"] = parser.get_parsed_content("inferer")(data["image"][None], network)[0]
    kept = [t for t in parser.get_parsed_content("postprocessing").transforms if not isinstance(t, SaveImaged)]
    for transform in kept:
        data = transform(data)
    return data, kept


def network_of(bundle, names="inference", **override):
    """The network of a list of configs of RMR-Fusion with random weights, always the same ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = parse(bundle, names, **override).get_parsed_content("network_def").eval()
    # Untrained features are far from [0, 1]: bring the fused volume there, so that clamping does not hide it.
    with torch.no_grad():
        last = network.autoencoder.decoder.layers[-1]
        last.bias.fill_(0.5)
    return network
