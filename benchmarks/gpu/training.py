"""Part C: training of what ships, with schedules set from a short look at the rates, and its evaluation."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import GESENET, RMR
from benchmarks.bundle_jobs import bundle_words
from benchmarks.gpu.budget import Budget, schedule
from benchmarks.gpu.rates import recipes
from benchmarks.toy_data import FEW_VERSIONS

_TINY = {"max_epochs": 1, "iterations_per_epoch": 2, "val_interval": 1}
# Making the versions of stage 2 takes the CPU 8 to 15 seconds each, eight at a time.
_FEWER, _MAKING_THEM = {"versions": 12, "renewed": 1}, 45.0
_OVERRUN = 1.15


def rates(out: Path) -> dict[str, float]:
    """Steps/s of the shipped recipes as :mod:`benchmarks.gpu.rates` measured them, by ``bundle config``; those that
    failed are left out.
    """
    path = out / "rates.jsonl"
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines() if path.is_file() else [])
    return {row["what"].removeprefix("train "): row["steps_per_s"] for row in rows if "steps_per_s" in row}


def train_and_judge(budget: Budget, given: argparse.Namespace, work: Path) -> None:
    """Stage 1, stage 2 and evaluation of RMR-Fusion, then GeSeNet; weights are copied out after each."""
    look = ["benchmarks.gpu.rates", "--device", given.device, "--out", str(given.out)]
    look += ["--brains", str(given.brains), "--pairs", str(given.pairs), *(["--tiny"] if given.tiny else [])]
    budget.run("C: rates", [look], most=budget.share("rates"))
    measured, keys = rates(given.out), recipes(given.brains, given.pairs, given.tiny)
    device = {"device": f"$torch.device('{given.device}')"}

    def train(phase: str, bundle: Path, config: str, more: Mapping[str, Any], before: float = 0.0) -> None:
        """Train for the phase's share, of which some seconds go by before the first step."""
        seconds, folder = budget.share(phase), work / ("rmr" if bundle == RMR else "gesenet")
        rate = measured.get(f"{bundle.name} {config}", 1.0)
        steps = _TINY if given.tiny else schedule(rate, max(seconds / 2, seconds - before))
        over = {**device, "ckpt_dir": folder, "output_dir": folder / "eval", **keys[bundle, config], **more, **steps}
        words = ["monai.bundle", *bundle_words(bundle, "training", [config], over)]
        budget.run(f"C: {phase} {steps}", [words], most=_OVERRUN * seconds)
        carry_out(work, given.out, given.file_mb)

    train("stage 1", RMR, "train_autoencoder", {})
    own = work / "rmr" / "autoencoder.pt"
    start = {"autoencoder_checkpoint": own} if own.is_file() else {}
    train("stage 2", RMR, "train", {**(FEW_VERSIONS if given.tiny else _FEWER), **start}, _MAKING_THEM)
    if (work / "rmr" / "model.pt").is_file():
        judged = {**device, "dataset_dir": given.brains, "checkpoint": work / "rmr" / "model.pt"}
        judged |= {"output_dir": given.out / "evaluation", "data_name": "validation"}
        for name in ("clean", "degraded"):
            over = {**judged, "degrade": name == "degraded"}
            words = ["monai.bundle", *bundle_words(RMR, "evaluating", ["train", "evaluate"], over)]
            budget.run(f"C: evaluation, {name}", [words], most=_OVERRUN * budget.share(f"evaluation, {name}"))
    train("GeSeNet", GESENET, "train", {})


def carry_out(work: Path, out: Path, file_mb: float) -> None:
    """Copy the best weights there are into the output folder, in parts where a file is larger than allowed."""
    for bundle in ("rmr", "gesenet"):
        for path in sorted((work / bundle).glob("*.pt")):
            if "_checkpoint_" in path.name:
                continue
            content, size = path.read_bytes(), int(file_mb * 2**20)
            parts = [content[start : start + size] for start in range(0, len(content), size)]
            for number, part in enumerate(parts):
                ending = f".part{number}" if len(parts) > 1 else ""
                (out / f"{bundle}_{path.name}{ending}").write_bytes(part)
