"""Part A: every config of both bundles for a step or a case, on made-up data; what fails is noted and the rest goes on.

``python -m benchmarks.gpu.smoke --device cuda --out FOLDER --share 0/4`` runs every fourth one in this process.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from benchmarks import GESENET, RMR, ROOT
from benchmarks.bundle_jobs import bundle_words
from benchmarks.report import fault_line
from benchmarks.toy_data import FEW_VERSIONS, write_toy_brains, write_toy_pictures
from shared_networks.utils import missing_for_tensorrt

_STEP = {"max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 1, "num_workers": 0, "resume": False}
_BRAINS = {"patch_size": [14, 14, 7], "validation_size": [14, 14, 7], "validation_subjects": ["toy0"]}
_PICTURES = {"patch_size": [44, 44], "batch_size": 2, "validation_cases": {}, "validation_every": 1}
_HEADS = ("swin_unetr", "unet", "vnet", "segresnet", "unetr", "ux_net", "mednext", "dynunet", "hyper_dense")
_STAGE_2 = ("tune_encoders", "without_fusion_loss", "without_segmentation_loss", "paper_size")
_RIVALS = ("maximum", "dual_tree", "flair", "gesenet", "minimiser")
_PICTURE_RIVALS = ("average", "maximum", "laplacian_pyramid", "guided_filter", "dual_tree", "disturbed")
_GESENET = (
    "paper",
    "robust_training",
    "mask_before_edge",
    "without_edge_enhancement",
    "without_edge_loss",
    "without_global_refinement",
    "without_region_mask",
    "without_semantic_loss",
    "without_skip",
)
# Patches of 128 x 128 x 32 and a head of 48 features are for brains.
_PRESET = {"feature_size": 12, "roi_size": [32, 32, 32], "batch_size": 1}
# The toys' names of images and labels; the lesion takes the place of the cancer.
_PROSTATE = {"modalities": ["t1", "flair"], "label_map": {0: 0, 1: 1, 2: 2, 3: 3, 4: 3}}
_PRESETS_OF_STAGE_1 = {"paper": {}, "released": {}, "prostate158": {"modalities": ["t1", "flair"]}}
_PRESETS = {"paper": _PRESET, "released": _PRESET, "prostate158": _PROSTATE, "mrbrains": {}}
LEFT_OUT = {
    f"{GESENET.name}: train + evaluate + evaluate_released": "the authors' weights are not shipped",
    f"{RMR.name}: inference + paper_size": "there are no weights of this size; its training is run",
}
"""Configs that cannot be run on made-up data, and why."""


@dataclass(frozen=True)
class Run:
    """One run of a list of configs; with ``distributed`` as torchrun's only process."""

    bundle: Path
    configs: tuple[str, ...]
    kind: str
    keys: dict[str, Any] = field(default_factory=dict)
    distributed: bool = False

    @property
    def name(self) -> str:
        """Bundle and configs."""
        return f"{self.bundle.name}: {' + '.join(self.configs)}"

    def left_out(self, device: str) -> str:
        """Why this cannot be run here; '' when it can."""
        if "inference_trt" in self.configs:
            return "; ".join(missing_for_tensorrt(device))
        nccl = torch.distributed.is_available() and torch.distributed.is_nccl_available()
        return "this PyTorch has no NCCL" if self.distributed and device == "cuda" and not nccl else ""


def runs(brains: Path, pictures: Path, work: Path) -> Iterator[Run]:
    """What part A runs on labelled volumes and pairs of pictures, the most important first; ``work`` is for what they
    write.
    """
    sample = RMR / "sample_data"
    autoencoder = {**_STEP, **_BRAINS, "dataset_dir": brains, "ckpt_dir": work / "rmr"}
    rmr = autoencoder | FEW_VERSIONS
    stage1 = {f"stage1#{key}": value for key, value in {**_STEP, **_BRAINS}.items() if key in _OF_STAGE_1}
    pair = {
        "mri": GESENET / "sample_data" / "mri" / "axial.png",
        "other": GESENET / "sample_data" / "other" / "axial.png",
    }
    gesenet = {**_STEP, **_PICTURES, "dataset_dir": pictures, "ckpt_dir": work / "gesenet"}
    case = {"t1": sample / "t1.nii.gz", "flair": sample / "flair.nii.gz", "skip_done": False}
    semantic = {**_STEP, "dataset_dir": pictures, "brain_dir": brains, "validation_cases": {"CT": ["train1"]}}
    judged = {"dataset_dir": brains, "validation_subjects": ["toy0"], "num_workers": 0, "data_name": "smoke"}
    judged_pairs = {"dataset_dir": pictures, "num_workers": 0, "data_name": "smoke"}

    yield Run(RMR, ("train_autoencoder",), "train", autoencoder)
    yield Run(RMR, ("train",), "train", rmr)
    yield Run(GESENET, ("train",), "train", gesenet)
    yield Run(RMR, ("inference",), "infer", case)
    yield Run(GESENET, ("inference",), "infer", {**pair, "skip_done": False})
    yield Run(RMR, ("train", "evaluate"), "train", judged)
    yield Run(GESENET, ("train", "evaluate"), "train", judged_pairs)
    yield Run(RMR, ("two_stage",), "train", {**rmr, **stage1, "ckpt_dir": work / "two"})
    yield Run(GESENET, ("train_semantic",), "train", {**semantic, "ckpt_dir": work / "semantic"})
    for head in _HEADS:
        yield Run(RMR, ("train", f"head_{head}"), "train", {**rmr, "ckpt_dir": work / head})
    yield Run(RMR, ("train", "head_segresnet", "head_only"), "train", {**rmr, "ckpt_dir": work / "head_only"})
    yield Run(RMR, ("train", "degrade_stage2"), "train", {**rmr, "ckpt_dir": work / "degraded"})
    for overlay in _STAGE_2:
        yield Run(RMR, ("train", overlay), "train", {**rmr, "ckpt_dir": work / overlay})
    for overlay in _GESENET:
        yield Run(GESENET, ("train", overlay), "train", {**gesenet, "ckpt_dir": work / f"gesenet_{overlay}"})
    for name, keys in _PRESETS_OF_STAGE_1.items():
        more = {**keys, "ckpt_dir": work / f"{name}_1", "batch_size": 1}
        yield Run(RMR, ("train_autoencoder", f"{name}_autoencoder"), "train", {**autoencoder, **more})
    for name, keys in _PRESETS.items():
        yield Run(RMR, ("train", name), "train", {**rmr, **keys, "ckpt_dir": work / name})
    yield Run(RMR, ("train", "evaluate", "evaluate_average"), "train", judged)
    for rival in _RIVALS:
        yield Run(RMR, ("train", "evaluate", "evaluate_average", f"evaluate_{rival}"), "train", judged)
    for rival in _PICTURE_RIVALS:
        yield Run(GESENET, ("train", "evaluate", f"evaluate_{rival}"), "train", judged_pairs)
    several = {"ckpt_dir": work / "several"}
    for bundle, configs, kind, keys in (
        (RMR, ("train_autoencoder", "multi_gpu_train_autoencoder"), "train", {**autoencoder, **several}),
        (RMR, ("train", "multi_gpu_train"), "train", {**rmr, **several}),
        (RMR, ("train", "evaluate", "multi_gpu_evaluate"), "train", judged),
        (RMR, ("inference", "multi_gpu_inference"), "infer", case),
        (GESENET, ("train", "multi_gpu_train"), "train", {**gesenet, "ckpt_dir": work / "several_pictures"}),
        (GESENET, ("train", "evaluate", "multi_gpu_evaluate"), "train", judged_pairs),
        (GESENET, ("inference", "multi_gpu_inference"), "infer", {**pair, "skip_done": False}),
    ):
        yield Run(bundle, configs, kind, keys, distributed=True)
    yield Run(RMR, ("inference", "inference_trt"), "infer", case)
    yield Run(GESENET, ("inference", "inference_trt"), "infer", {**pair, "skip_done": False})


_OF_STAGE_1 = ("max_epochs", "iterations_per_epoch", "val_interval", "patch_size", "validation_size")


def attempt(run: Run, device: str, output: Path) -> dict[str, Any]:
    """Run it; returns its name, seconds, the error's last line ('' when there was none) and why it was left out."""
    row = {"name": run.name, "seconds": 0.0, "error": "", "left_out": run.left_out(device)}
    if row["left_out"]:
        return row
    started = time.perf_counter()
    keys = {"output_dir": output, **run.keys}
    row["error"] = _in_a_process(run, keys, device, output) if run.distributed else _here(run, keys, device, output)
    if device == "cuda":
        torch.cuda.empty_cache()
    return row | {"seconds": round(time.perf_counter() - started, 1)}


def _here(run: Run, keys: dict[str, Any], device: str, output: Path) -> str:
    keys = {"device": f"$torch.device('{device}')", "bundle_root": run.bundle, **keys}
    keys = {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    files = [str(run.bundle / "configs" / f"{name}.json") for name in run.configs]
    try:
        workflow = ConfigWorkflow(files, workflow_type=run.kind, logging_file=False, **keys)
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    except (Exception, SystemExit) as fault:
        if isinstance(fault, SystemExit) and not fault.code:
            return ""
        (output / "errors.txt").open("a").write(f"{run.name}\n{traceback.format_exc()}\n")
        while fault.__cause__ is not None:
            fault = fault.__cause__
        return fault_line(fault)
    return ""


def _in_a_process(run: Run, keys: dict[str, Any], device: str, output: Path) -> str:
    """By torchrun: NCCL on a GPU, gloo on a CPU, as the configs choose."""
    run_id = "evaluating" if "evaluate" in run.configs else {"train": "training", "infer": "inferring"}[run.kind]
    words = ["torch.distributed.run", "--standalone", "--nproc_per_node", "1", "-m", "monai.bundle"]
    words += bundle_words(run.bundle, run_id, run.configs, keys)
    environment = os.environ | ({} if device == "cuda" else {"CUDA_VISIBLE_DEVICES": ""})
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False, cwd=ROOT, env=environment
    )
    if not done.returncode:
        return ""
    (output / "errors.txt").open("a").write(f"{run.name}\n{done.stdout}\n{done.stderr}\n")
    lines = [line for line in (done.stdout + done.stderr).splitlines() if "rror" in line]
    return (lines or [f"exit code {done.returncode}"])[0][:300]


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Run a share of the configs and add a line to ``smoke.jsonl`` after each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.smoke")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", default="0/1", help="NUMBER/OF: every OF-th run from NUMBER on")
    parser.add_argument("--most", type=int, default=None, help="so many of the share at most")
    given = parser.parse_args(arguments)
    number, of = map(int, given.share.split("/"))
    work = given.out / f"smoke_{number}"
    work.mkdir(parents=True, exist_ok=True)
    brains, pictures = write_toy_brains(work / "brains"), write_toy_pictures(work / "pictures")
    everything = list(runs(brains, pictures, work))
    rows = [{"name": name, "seconds": 0.0, "error": "", "left_out": reason} for name, reason in LEFT_OUT.items()]
    results, total = [], len(everything) + len(rows)
    with (given.out / f"smoke_{number}.jsonl").open("a", encoding="utf-8") as file:

        def note(row: dict[str, Any]) -> None:
            results.append(row | {"of": total})
            print(results[-1], flush=True)
            file.write(json.dumps(results[-1]) + "\n")
            file.flush()

        for row in rows[number::of]:
            note(row)
        for run in everything[number::of][: given.most]:
            note(attempt(run, given.device, work))
    return results


if __name__ == "__main__":
    main()
