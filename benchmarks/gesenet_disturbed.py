"""How does GeSeNet bear noise and a registration that is off? Metrics against the undisturbed pair.

``python -m benchmarks.gesenet_disturbed --dataset_dir PAIRS [--section test] [--checkpoint FILE]
[--released CHECKPOINT] [--methods gesenet,maximum] [--kinds noise_std,shift] [--every 6] [--jobs 2]
[--work runs/gesenet_disturbed] [--out benchmarks/results]``

Gaussian noise of 0 to 0.1 in both pictures, or a shift of the second one by 0 to 5 pixels; one evaluation of the bundle
for each strength and method, on every sixth pair. Writes ``gesenet_disturbed_<data_name>.json``, ``.md``, ``.png``.
``--quick`` does one strength of each for two methods on made-up pairs.
"""

import argparse
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks import gesenet_jobs
from benchmarks.figures import draw_grid, save
from benchmarks.gesenet_jobs import AS_GIVEN, METHODS
from benchmarks.options import chosen_names, quick_run
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.toy_data import write_toy_pictures

METRICS = ("SSIM", "SCD", "Qabf")
KINDS = {
    "noise_std": ((0.0, 0.025, 0.05, 0.075, 0.1), "standard deviation of the noise", "SSIM"),
    "shift": ((0, 1, 2, 3, 4, 5), "shift of the second picture, pixels", "Qabf"),
}
"""Strengths of each kind, the undisturbed one first; what they are; the metric that is given by modality."""

_FIRST = ("gesenet", AS_GIVEN, "released_gesenet", "maximum", "laplacian_pyramid")


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the sweep and return what it wrote as JSON."""
    parser = gesenet_jobs.pairs_parser("gesenet_disturbed", _FIRST, every=6)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"of {', '.join(KINDS)}")
    given = gesenet_jobs.parse_pairs(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_pictures):
            given.every, given.methods = 1, ["gesenet", "maximum"]
            return sweep(given, {kind: values[::4] for kind, (values, *_) in KINDS.items()})
    kinds = chosen_names(parser, given.kinds, KINDS, "kind of disturbance")
    return sweep(given, {kind: KINDS[kind][0] for kind in kinds})


def sweep(given: argparse.Namespace, strengths: Mapping[str, Sequence[float]]) -> dict:
    """Measure and report; ``strengths`` holds those of each kind, the undisturbed one first."""
    runs = {
        run_name(name, kind, value): (name, {kind: value} if value else {})
        for name in given.methods
        for kind, values in strengths.items()
        for value in values
    }
    measured = gesenet_jobs.measure(given, runs, METRICS)
    curves: dict[str, dict] = {name: {kind: {} for kind in strengths} for name in given.methods}
    modalities: dict[str, dict] = {name: {kind: {} for kind in strengths} for name in given.methods}
    for name in given.methods:
        for kind, values in strengths.items():
            for value in values:
                means = gesenet_jobs.means_of(measured[run_name(name, kind, value)])
                for metric in METRICS:
                    # Every modality counts the same, whatever its number of pairs.
                    mean = fmean(metrics[metric] for metrics in means.values())
                    curves[name][kind].setdefault(metric, []).append([value, mean])
                for modality, metrics in means.items():
                    modalities[name][kind].setdefault(modality, []).append([value, metrics[KINDS[kind][2]]])
    count = sum(len(metrics["SSIM"]) for metrics in next(iter(measured.values())).values())
    facts = gesenet_jobs.facts_of(given) | {"pairs": count, "methods": curves, "modalities": modalities}
    shown = gesenet_jobs.chosen_pairs(given)
    shown += [f"--kinds {given.kinds}"] if len(strengths) < len(KINDS) else []
    stem = f"gesenet_disturbed_{given.data_name}"
    report = write_report("gesenet_disturbed", given.out, shown, facts, table, stem)
    panels = {
        metric: [{METHODS[name].title: curves[name][kind][metric] for name in curves} for kind in strengths]
        for metric in METRICS
    }
    figure, grid = draw_grid(panels, [KINDS[kind][1] for kind in strengths], size=(9, 8))
    grid[0, 0].legend(fontsize=8)
    save(figure, given.out / stem)
    return report


def run_name(method: str, kind: str, value: float) -> str:
    """Name of a run; undisturbed is the same for both kinds, and measured once."""
    return f"{method}/{f'{kind}_{value:g}' if value else 'undisturbed'}"


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    parts = []
    for kind in next(iter(result["methods"].values())):
        points = {
            (metric, name): kinds[kind][metric] for metric in METRICS for name, kinds in result["methods"].items()
        }
        for name, kinds in result["modalities"].items():
            points |= {(f"{KINDS[kind][2]}, {modality}", name): means for modality, means in kinds[kind].items()}
        rows = [
            [title, METHODS[name].title, *(f"{mean:.3f}" for _, mean in means)]
            for (title, name), means in points.items()
        ]
        strengths = [f"{value:g}" for value, _ in next(iter(points.values()))]
        parts.append(markdown_table([KINDS[kind][1], "method", *strengths], rows))
    whose = "mean of the modalities, or of one; compared with the undisturbed pair"
    return "\n\n".join([*parts, f"{result['pairs']} pairs ({result['data']}); {whose}."])


if __name__ == "__main__":
    print_report(main, table)
