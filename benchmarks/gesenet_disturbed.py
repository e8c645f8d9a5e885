"""How does GeSeNet bear noise and a registration that is off? Metrics against the undisturbed pair.

``python -m benchmarks.gesenet_disturbed --dataset_dir PAIRS [--released CHECKPOINT] [--methods gesenet,maximum]
[--every 6] [--jobs 2] [--work runs/gesenet_disturbed] [--out benchmarks/results]``

Gaussian noise of 0 to 0.1 in both pictures, or a shift of the second one by 0 to 4 pixels; one evaluation of the bundle
for each strength and method, on every sixth test pair. Writes ``gesenet_disturbed.json``, ``.md``, ``.png``, ``.svg``.
``--quick`` does one strength of each for two methods on made-up pairs.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from benchmarks.bundle_jobs import ROOT, finish
from benchmarks.figures import draw_lines, save
from benchmarks.gesenet_jobs import METHODS, evaluation, read_by_modality, write_pair_list
from benchmarks.machine import hardware
from benchmarks.report import write_report
from benchmarks.toy_data import write_toy_pictures

__all__ = ["main"]

METRICS = ("SSIM", "SCD", "Qabf")
KINDS = {
    "noise_std": ((0.0, 0.025, 0.05, 0.075, 0.1), "standard deviation of the noise"),
    "shift": ((0, 1, 2, 3, 4), "shift of the second picture, pixels"),
}
_FIRST = ("gesenet", "released_gesenet", "maximum", "laplacian_pyramid")


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the sweep and return what it wrote as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gesenet_disturbed")
    parser.add_argument("--dataset_dir", default="", help="folder with a datalist.json, or with CT, PET, SPECT")
    parser.add_argument("--released", type=Path, help="the authors' checkpoint, converted")
    parser.add_argument("--methods", default=",".join(_FIRST), help=f"of {', '.join(METHODS)}")
    parser.add_argument("--every", type=int, default=6, help="take every so many test pairs")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--threads", type=int, help="of each run; an equal share of the CPU by default")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "gesenet_disturbed")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    if given.quick:
        with tempfile.TemporaryDirectory() as folder:
            given.dataset_dir, given.work = str(write_toy_pictures(Path(folder) / "data")), Path(folder) / "work"
            given.every, given.jobs, given.methods = 1, 0, "gesenet,maximum"
            return sweep(given, {kind: values[::4] for kind, (values, _) in KINDS.items()})
    if not given.dataset_dir:
        parser.error("give --dataset_dir PAIRS, or --quick")
    return sweep(given, {kind: strengths for kind, (strengths, _) in KINDS.items()})


def sweep(given: argparse.Namespace, strengths: Mapping[str, Sequence[float]]) -> dict:
    """Measure and report; ``strengths`` holds those of each kind, the undisturbed one first."""
    names = [name for name in given.methods.split(",") if name != "released_gesenet" or given.released]
    work = given.work.resolve()
    pairs = work / f"test_{given.every}.json"
    count = write_pair_list(pairs, given.dataset_dir, given.every)
    jobs, places = {}, {}
    for name in names:
        keys: dict[str, Any] = {"datalist": pairs}
        if name == "released_gesenet":
            keys["checkpoint"] = given.released.resolve()
        for kind, values in strengths.items():
            for value in values:
                # Undisturbed is the same for both kinds, and measured once.
                folder = f"{name}/{kind}_{value:g}" if value else f"{name}/undisturbed"
                chosen = {kind: value} if value else {}
                configs = ["evaluate_disturbed"]
                job = evaluation(name, folder, "pairs", keys | chosen, work, configs, metrics=METRICS)
                jobs[folder] = job
                places[name, kind, value] = work / job.name / job.product
    finish(list(jobs.values()), work, given.jobs, given.threads)
    curves: dict[str, dict] = {}
    for (name, kind, value), path in places.items():
        by_modality = read_by_modality([path], METRICS)
        for metric in METRICS:
            # Every modality counts the same, whatever its number of pairs.
            mean = fmean(fmean(metrics[metric]) for metrics in by_modality.values())
            curves.setdefault(name, {}).setdefault(kind, {}).setdefault(metric, []).append([value, mean])
    facts = {"hardware": hardware("cpu"), "pairs": count, "methods": curves}
    shown = [f"--dataset_dir PAIRS --every {given.every} --methods {','.join(names)}"]
    shown += ["--released CHECKPOINT"] if "released_gesenet" in names else []
    report = write_report("gesenet_disturbed", given.out, ["--quick"] if given.quick else shown, facts, table)
    figure = Figure(figsize=(9, 8), layout="constrained")
    rows = figure.subplots(len(METRICS), len(strengths), sharex="col", sharey="row", squeeze=False)
    for row, metric in zip(rows, METRICS, strict=True):
        for axes, kind in zip(row, strengths, strict=True):
            draw_lines(axes, {METHODS[name].title: curves[name][kind][metric] for name in names})
        row[0].set_ylabel(metric)
    for axes, kind in zip(rows[-1], strengths, strict=True):
        axes.set_xlabel(KINDS[kind][1])
    rows[0][0].legend(fontsize=8)
    save(figure, given.out / "gesenet_disturbed")
    return report


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    lines = []
    for kind in next(iter(result["methods"].values())):
        strengths = [value for value, _ in next(iter(result["methods"].values()))[kind][METRICS[0]]]
        lines += [f"| {KINDS[kind][1]} | method | {' | '.join(f'{value:g}' for value in strengths)} |"]
        lines += ["|---" * (len(strengths) + 2) + "|"]
        for metric in METRICS:
            for name, kinds in result["methods"].items():
                cells = [f"{mean:.3f}" for _, mean in kinds[kind][metric]]
                lines.append(f"| {metric} | {METHODS[name].title} | {' | '.join(cells)} |")
        lines.append("")
    lines.append(f"{result['pairs']} test pairs; mean of the modalities; compared with the undisturbed pair.")
    return "\n".join([*lines, "", f"`{result['command']}` ({result['date']}, {result['hardware']})"]) + "\n"


if __name__ == "__main__":
    print(table(main()))
