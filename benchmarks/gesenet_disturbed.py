"""How does GeSeNet bear noise and a registration that is off? Metrics against the undisturbed pair.

``python -m benchmarks.gesenet_disturbed --dataset_dir PAIRS [--section test] [--released CHECKPOINT]
[--methods gesenet,maximum] [--kinds noise_std,shift] [--every 6] [--jobs 2] [--work runs/gesenet_disturbed]
[--out benchmarks/results]``

Gaussian noise of 0 to 0.1 in both pictures, or a shift of the second one by 0 to 5 pixels; one evaluation of the bundle
for each strength and method, on every sixth pair. Writes ``gesenet_disturbed_<data_name>.json``, ``.md``, ``.png``.
``--quick`` does one strength of each for two methods on made-up pairs.
"""

import argparse
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from benchmarks.bundle_jobs import finish, hardware_of_a_run
from benchmarks.figures import draw_lines, save
from benchmarks.gesenet_jobs import (
    AS_GIVEN,
    METHODS,
    chosen_pairs,
    evaluation,
    methods_of,
    pairs_parser,
    parse_pairs,
    read_by_modality,
    source_keys,
    write_pair_list,
)
from benchmarks.report import write_report
from benchmarks.study_options import chosen_names, print_study, quick_run
from benchmarks.toy_data import write_toy_pictures

__all__ = ["main"]

METRICS = ("SSIM", "SCD", "Qabf")
KINDS = {
    "noise_std": ((0.0, 0.025, 0.05, 0.075, 0.1), "standard deviation of the noise", "SSIM"),
    "shift": ((0, 1, 2, 3, 4, 5), "shift of the second picture, pixels", "Qabf"),
}
"""Strengths of each kind, the undisturbed one first; what they are; the metric that is given by modality."""

_FIRST = ("gesenet", AS_GIVEN, "released_gesenet", "maximum", "laplacian_pyramid")


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the sweep and return what it wrote as JSON."""
    parser = pairs_parser("gesenet_disturbed", _FIRST, every=6)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    given = parse_pairs(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_pictures):
            given.every = 1
            return sweep(given, ["gesenet", "maximum"], {kind: values[::4] for kind, (values, *_) in KINDS.items()})
    kinds = chosen_names(parser, given.kinds, KINDS, "kind of disturbance")
    return sweep(given, methods_of(parser, given.methods, given.released), {kind: KINDS[kind][0] for kind in kinds})


def sweep(given: argparse.Namespace, names: Sequence[str], strengths: Mapping[str, Sequence[float]]) -> dict:
    """Measure and report; ``strengths`` holds those of each kind, the undisturbed one first."""
    work = given.work.resolve()
    pairs = work / f"{given.data_name}_{given.every}.json"
    count = write_pair_list(pairs, given.dataset_dir, given.every, given.section)
    jobs, places = {}, {}
    for name in names:
        keys = source_keys(name, pairs, given.released)
        for kind, values in strengths.items():
            for value in values:
                # Undisturbed is the same for both kinds, and measured once.
                folder = f"{given.data_name}/{name}/{f'{kind}_{value:g}' if value else 'undisturbed'}"
                chosen = {kind: value} if value else {}
                configs = ["evaluate_disturbed"]
                job = evaluation(name, folder, "pairs", keys | chosen, work, configs, metrics=METRICS)
                jobs[folder] = job
                places[name, kind, value] = work / job.name / job.product
    finish(list(jobs.values()), work, given.jobs, given.threads)
    curves: dict[str, dict] = {}
    modalities: dict[str, dict] = {}
    for (name, kind, value), path in places.items():
        by_modality = read_by_modality([path], METRICS)
        for metric in METRICS:
            # Every modality counts the same, whatever its number of pairs.
            mean = fmean(fmean(metrics[metric]) for metrics in by_modality.values())
            curves.setdefault(name, {}).setdefault(kind, {}).setdefault(metric, []).append([value, mean])
        for modality, metrics in by_modality.items():
            mean = fmean(metrics[KINDS[kind][2]])
            modalities.setdefault(name, {}).setdefault(kind, {}).setdefault(modality, []).append([value, mean])
    facts = {
        "hardware": hardware_of_a_run(given.jobs, given.threads),
        "data": given.data_name,
        "pairs": count,
        "methods": curves,
        "modalities": modalities,
    }
    shown = chosen_pairs(given, names)
    shown += [f"--kinds {given.kinds}"] if len(strengths) < len(KINDS) else []
    stem = f"gesenet_disturbed_{given.data_name}"
    report = write_report("gesenet_disturbed", given.out, shown, facts, table, stem)
    figure = Figure(figsize=(9, 8), layout="constrained")
    rows = figure.subplots(len(METRICS), len(strengths), sharex="col", sharey="row", squeeze=False)
    for row, metric in zip(rows, METRICS, strict=True):
        for axes, kind in zip(row, strengths, strict=True):
            draw_lines(axes, {METHODS[name].title: curves[name][kind][metric] for name in names})
        row[0].set_ylabel(metric)
    for axes, kind in zip(rows[-1], strengths, strict=True):
        axes.set_xlabel(KINDS[kind][1])
    rows[0][0].legend(fontsize=8)
    save(figure, given.out / stem)
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
        for name, kinds in result["modalities"].items():
            for modality, means in kinds[kind].items():
                cells = [f"{mean:.3f}" for _, mean in means]
                lines.append(f"| {KINDS[kind][2]}, {modality} | {METHODS[name].title} | {' | '.join(cells)} |")
        lines.append("")
    whose = "mean of the modalities, or of one; compared with the undisturbed pair"
    lines.append(f"{result['pairs']} pairs ({result['data']}); {whose}.")
    return "\n".join([*lines, "", f"`{result['command']}` ({result['date']}, {result['hardware']})"]) + "\n"


if __name__ == "__main__":
    print_study(main, table)
