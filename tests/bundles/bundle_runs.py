"""Running the configs of a bundle, in process and in two processes, for the tests of both bundles."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.transforms import CropForegroundd

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
# What a run of inference leaves beside the folders of its cases.
RUN_FILES = {"run_report.json", "cases.csv", "index.html"}
COLOUR_TABLES = {"fsleyes.lut", "freeview.txt", "itk_snap.label", "slicer.ctbl"}
# And in the folder of a case of RMR-Fusion: what the names end with.
CASE_FILES = ("fused.nii.gz", "preview.json", "qc.png", "report.json", "seg.nii.gz")
# Few versions of the cases: keys of stage 2 alone.
VERSIONS = {"versions": 2, "renewed": 1}


def walk(config) -> Iterator:
    """Every dictionary, list and value inside a config."""
    yield config
    for inner in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from walk(inner)


def run_workflow(bundle, names, workflow_type, **overrides):
    """Run a list of a bundle's configs in process, with paths among the overrides as text; returns the workflow."""
    overrides = {"bundle_root": bundle, **overrides}
    overrides = {key: str(value) if isinstance(value, Path) else value for key, value in overrides.items()}
    files = [str(bundle / "configs" / f"{name}.json") for name in names]
    workflow = ConfigWorkflow(files, workflow_type=workflow_type, logging_file=False, **overrides)
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return workflow


def run_in_two_processes(bundle, names, run_id, **overrides):
    """Run a list of a bundle's configs by torchrun with two processes on the CPU; fails when they fail."""
    files = [str(bundle / "configs" / f"{name}.json") for name in names]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += ["-m", "monai.bundle", "run", run_id, "--config_file", str(files)]
    for key, value in overrides.items():
        command += [f"--{key}", str(value)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


def on_brain(network, item, margin=(4, 4, 1)):
    """Output of RMR-Fusion's network on the brain with its margin, back on the grid in RAS, and the brain."""
    box = CropForegroundd(["image", "brain"], "brain", margin=margin, allow_smaller=False)
    cropped = box(item)
    with torch.no_grad():
        cropped["image"].set_array(network(cropped["image"].as_tensor()[None])[0])
    return box.inverse(cropped)["image"].as_tensor(), item["brain"][0].as_tensor()


def network_of(config, bundle, **override):
    """The network of the config with random weights, always the same ones."""
    parser = ConfigParser()
    parser.read_config(str(config))
    parser.update({"bundle_root": str(bundle), **override})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = parser.get_parsed_content("network_def").eval()
    # Untrained features are far from [0, 1]: bring the fused volume there, so that clamping does not hide it.
    with torch.no_grad():
        last = network.autoencoder.decoder.layers[-1]
        last.bias.fill_(0.5)
    return network
