"""Steps/s of the trainings: a short look that sets the schedules of part C, and part B's table.

``python -m benchmarks.gpu.rates --device cuda --brains FOLDER --pairs FOLDER --out FOLDER`` adds a line to
``rates.jsonl`` for each shipped recipe.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.bundle import ConfigWorkflow

from benchmarks import GESENET, RMR
from benchmarks.gpu.measure import peak_gib
from benchmarks.machine import synchronise
from benchmarks.report import fault_line
from benchmarks.toy_data import FEW_VERSIONS, small_gesenet

_WARM_UP = 5
# What takes minutes before the first step and does not change what a step costs.
_SOON = {
    (RMR, "train_autoencoder"): {"validate#dataset#cache_rate": 0.0, "train#dataset#num_workers": 8},
    (RMR, "train"): {**FEW_VERSIONS, "version_size": "@patch_size", "validate#dataset#cache_rate": 0.0},
    (GESENET, "train"): {"validation_cache": 0.0},
}


def recipes(brains: Path, pairs: Path, tiny: bool) -> dict[tuple[Path, str], dict[str, Any]]:
    """Bundle and config of the shipped trainings -> the keys that give their data (and tiny sizes)."""
    small = {"patch_size": [14, 14, 7], "validation_size": [14, 14, 7], "num_workers": 0} if tiny else {}
    pictures = {**small_gesenet(pairs), "num_workers": 0} if tiny else {}
    return {
        (RMR, "train_autoencoder"): {"dataset_dir": brains, **small},
        (RMR, "train"): {"dataset_dir": brains, **small},
        (GESENET, "train"): {"dataset_dir": pairs, **pictures},
    }


def trainer_of(bundle: Path, config: str, keys: dict[str, Any], device: str, work: Path) -> ConfigWorkflow:
    """An initialised training that writes to ``work`` and never comes to its validation."""
    over = {"bundle_root": bundle, "output_dir": work, "ckpt_dir": work, "device": f"$torch.device('{device}')"}
    over |= {"max_epochs": 1, "iterations_per_epoch": 100_000, "val_interval": 2, "resume": False}
    over |= _SOON.get((bundle, config), {}) | keys
    over = {key: str(value) if isinstance(value, Path) else value for key, value in over.items()}
    file = str(bundle / "configs" / f"{config}.json")
    workflow = ConfigWorkflow(file, workflow_type="train", logging_file=False, **over)
    workflow.initialize()
    return workflow


def steps_per_second(
    bundle: Path, config: str, keys: dict[str, Any], device: str, seconds: float, work: Path
) -> dict[str, Any]:
    """Steps/s and samples/s of a training config's own trainer, after five steps that warm up."""
    workflow = trainer_of(bundle, config, keys, device, work)
    content = workflow.parser.get_parsed_content
    trainer, marks = content("train#trainer"), []

    def mark(engine: Engine) -> None:
        late = bool(marks) and time.perf_counter() > marks[0] + seconds
        if len(marks) == _WARM_UP or late:
            synchronise(device)
        marks.append(time.perf_counter())
        if len(marks) > _WARM_UP + 1 and late:
            engine.terminate()

    trainer.add_event_handler(Events.ITERATION_COMPLETED, mark)
    if (bundle, config) == (RMR, "train"):
        content("network_def").load_autoencoder(content("autoencoder_checkpoint"))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    trainer.run()
    workflow.finalize()
    rate, batch = (len(marks) - _WARM_UP - 1) / (marks[-1] - marks[_WARM_UP]), content("batch_size")
    facts = {"patch": content("patch_size"), "batch": batch, "amp": content("amp")}
    if (bundle, config) != (RMR, "train"):
        facts["workers"] = content("num_workers")
    found = {"steps_per_s": round(rate, 3), "samples_per_s": round(rate * batch, 2), "peak_gib": peak_gib(device)}
    return {"what": f"train {bundle.name} {config}", **facts, **found}


def versions_per_second(
    brains: Path, tiny: bool, device: str, workers: Sequence[int], work: Path
) -> Iterator[dict[str, Any]]:
    """How fast stage 2's whole versions are made (altered by threads, then encoded), which is what its loader costs."""
    keys = recipes(brains, brains, tiny)[RMR, "train"] | {"version_size": [192, 224, 32], "renewed": 0}
    for threads in workers:
        count = 2 if tiny else max(8, threads)
        workflow = trainer_of(RMR, "train", {**keys, "versions": count, "version_workers": threads}, device, work)
        content = workflow.parser.get_parsed_content
        content("network").eval()
        versions = content("train#dataset")
        # Cases are read once in a training, and not counted here.
        cases = {id(item): versions.load(item) for item in versions.data[:count]}
        versions.load = lambda item, cases=cases: cases[id(item)]
        started = time.perf_counter()
        versions.renew(1)
        rate = count / (time.perf_counter() - started)
        workflow.finalize()
        yield {"what": "versions of stage 2", "version_workers": threads, "versions_per_s": round(rate, 3)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the shipped recipes for a few steps each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.rates")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--brains", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each recipe, at least")
    parser.add_argument("--tiny", action="store_true", help="small sizes, for a rehearsal")
    given = parser.parse_args(arguments)
    work = given.out / "rates"
    work.mkdir(parents=True, exist_ok=True)
    for (bundle, config), keys in recipes(given.brains, given.pairs, given.tiny).items():
        try:
            row = steps_per_second(bundle, config, keys, given.device, given.seconds, work)
        except (Exception, SystemExit) as fault:  # the others are measured all the same
            row = {"what": f"train {bundle.name} {config}", "error": fault_line(fault)}
        print(row, flush=True)
        with (given.out / "rates.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
