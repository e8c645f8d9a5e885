"""GeSeNet against rivals: six metrics on the pairs of each modality, as a table and as box plots (paper: Fig. 7).

``python -m benchmarks.gesenet_rivals --dataset_dir PAIRS [--released CHECKPOINT] [--methods gesenet,maximum]
[--data_name harvard_test] [--every 1] [--jobs 2] [--work runs/gesenet_rivals] [--out benchmarks/results]``

Every method is one evaluation of the bundle; what is done is not run again. ``CHECKPOINT`` is the authors' released
one, converted by ``python -m shared_networks.convert``; without it that method is left out. Writes
``gesenet_rivals_<data_name>.json``, ``.md``, ``.png`` and ``.svg``.
``--quick`` compares three methods on made-up pairs.
"""

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.bundle_jobs import ROOT, finish
from benchmarks.figures import draw_boxes
from benchmarks.gesenet_jobs import METHODS, METRICS, evaluation, read_by_modality, write_pair_list
from benchmarks.machine import hardware
from benchmarks.report import write_report
from benchmarks.toy_data import write_toy_pictures

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the comparison and return what it wrote as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gesenet_rivals")
    parser.add_argument("--dataset_dir", default="", help="folder with a datalist.json, or with CT, PET, SPECT")
    parser.add_argument("--released", type=Path, help="the authors' checkpoint, converted")
    parser.add_argument("--methods", default=",".join(METHODS), help=f"of {', '.join(METHODS)}")
    parser.add_argument("--data_name", default="harvard_test")
    parser.add_argument("--every", type=int, default=1, help="take every so many pairs")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--threads", type=int, help="of each run; an equal share of the CPU by default")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "gesenet_rivals")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    if given.quick:
        with tempfile.TemporaryDirectory() as folder:
            given.dataset_dir, given.data_name = str(write_toy_pictures(Path(folder) / "data")), "toy"
            given.work, given.jobs = Path(folder) / "work", 0
            return compare(given, ["gesenet", "maximum", "guided_filter"])
    if not given.dataset_dir:
        parser.error("give --dataset_dir PAIRS, or --quick")
    names = [name for name in given.methods.split(",") if name != "released_gesenet" or given.released]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        parser.error(f"no method {', '.join(unknown)}; there are {', '.join(METHODS)}")
    return compare(given, names)


def compare(given: argparse.Namespace, names: Sequence[str]) -> dict:
    """Measure the methods and report; ``given`` are the options of the command."""
    work = given.work.resolve()
    pairs = work / f"{given.data_name}_{given.every}.json"
    write_pair_list(pairs, given.dataset_dir, given.every)
    jobs = []
    for name in names:
        keys: dict[str, Any] = {"datalist": pairs}
        if name == "released_gesenet":
            keys["checkpoint"] = given.released.resolve()
        jobs.append(evaluation(name, f"{given.data_name}/{name}", given.data_name, keys, work))
    finish(jobs, work, given.jobs, given.threads)
    values = {name: read_by_modality([work / job.name / job.product]) for name, job in zip(names, jobs, strict=True)}
    facts = {
        "hardware": hardware("cpu"),
        "data": given.data_name,
        "pairs": {modality: len(metrics["SSIM"]) for modality, metrics in values[names[0]].items()},
        "methods": {
            name: {
                modality: {metric: fmean(column) for metric, column in metrics.items()}
                for modality, metrics in by_modality.items()
            }
            for name, by_modality in values.items()
        },
    }
    shown = ["--dataset_dir PAIRS", f"--data_name {given.data_name}"]
    shown += ["--released CHECKPOINT"] if "released_gesenet" in names else []
    shown += [f"--every {given.every}"] if given.every > 1 else []
    shown += [f"--methods {','.join(names)}"] if len(names) < len(METHODS) else []
    shown = ["--quick"] if given.quick else shown
    stem = f"gesenet_rivals_{given.data_name}"
    report = write_report("gesenet_rivals", given.out, shown, facts, table, stem)
    groups = {
        f"{modality} ({count} pairs)": {
            metric: {METHODS[name].title: values[name][modality][metric] for name in names} for metric in METRICS
        }
        for modality, count in facts["pairs"].items()
    }
    draw_boxes(groups, given.out / stem)
    return report


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns: mean over pairs, the best of a column in bold."""
    lines = [f"| pairs | method | {' | '.join(METRICS)} |", "|---" * (len(METRICS) + 2) + "|"]
    for modality, count in result["pairs"].items():
        best = {metric: max(entry[modality][metric] for entry in result["methods"].values()) for metric in METRICS}
        for name, entry in result["methods"].items():
            cells = [
                f"**{value:.3f}**" if value == best[metric] else f"{value:.3f}"
                for metric, value in ((metric, entry[modality][metric]) for metric in METRICS)
            ]
            lines.append(f"| {modality} ({count}) | {METHODS[name].title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"`{result['command']}` ({result['date']}, {result['hardware']})"]) + "\n"


if __name__ == "__main__":
    print(table(main()))
