"""Part A: every config of both bundles for a step or a case, on made-up data; what fails is noted and the rest goes on.

``python -m benchmarks.gpu.smoke --device cuda --out FOLDER --share 0/4`` runs every fourth one in this process.
"""

import argparse
import json
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow

from benchmarks import GESENET, RMR
from benchmarks.toy_data import FEW_VERSIONS, write_toy_brains, write_toy_pictures

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


@dataclass(frozen=True)
class Run:
    """One run of a list of configs."""

    bundle: Path
    configs: tuple[str, ...]
    kind: str
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Bundle and configs."""
        return f"{self.bundle.name}: {' + '.join(self.configs)}"


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
    yield Run(RMR, ("train", "evaluate", "evaluate_average"), "train", judged)
    for rival in _RIVALS:
        yield Run(RMR, ("train", "evaluate", "evaluate_average", f"evaluate_{rival}"), "train", judged)
    for rival in _PICTURE_RIVALS:
        yield Run(GESENET, ("train", "evaluate", f"evaluate_{rival}"), "train", judged_pairs)
    yield Run(RMR, ("inference", "inference_trt"), "infer", case)
    yield Run(GESENET, ("inference", "inference_trt"), "infer", {**pair, "skip_done": False})


_OF_STAGE_1 = ("max_epochs", "iterations_per_epoch", "val_interval", "patch_size", "validation_size")


def attempt(run: Run, device: str, output: Path) -> dict[str, Any]:
    """Run it; returns its name, seconds and the error's last line ('' when there was none)."""
    keys = {"device": f"$torch.device('{device}')", "bundle_root": run.bundle, "output_dir": output, **run.keys}
    keys = {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    files = [str(run.bundle / "configs" / f"{name}.json") for name in run.configs]
    started, error = time.perf_counter(), ""
    try:
        workflow = ConfigWorkflow(files, workflow_type=run.kind, logging_file=False, **keys)
        workflow.initialize()
        workflow.run()
        workflow.finalize()
    except (Exception, SystemExit) as fault:
        code = getattr(fault, "code", None)
        if not isinstance(fault, SystemExit) or code:
            while fault.__cause__ is not None:
                fault = fault.__cause__
            error = f"{type(fault).__name__}: {fault}".splitlines()[0][:300]
            (output / "errors.txt").open("a").write(f"{run.name}\n{traceback.format_exc()}\n")
    if device == "cuda":
        torch.cuda.empty_cache()
    return {"name": run.name, "seconds": round(time.perf_counter() - started, 1), "error": error}


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
    results = []
    for run in list(runs(brains, pictures, work))[number::of][: given.most]:
        results.append(attempt(run, given.device, work))
        with (given.out / f"smoke_{number}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(results[-1]) + "\n")
    return results


if __name__ == "__main__":
    main()
