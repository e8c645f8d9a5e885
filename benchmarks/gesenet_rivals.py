"""GeSeNet against rivals: six metrics on the pairs of each modality, as a table and as box plots (paper: Fig. 7).

``python -m benchmarks.gesenet_rivals --dataset_dir PAIRS [--section test] [--checkpoint FILE] [--released CHECKPOINT]
[--methods gesenet,maximum] [--data_name harvard_test] [--every 1] [--jobs 2] [--work runs/gesenet_rivals]
[--out benchmarks/results]``

Every method is one evaluation of the bundle; what is done is not run again. ``CHECKPOINT`` is the authors' released
one, converted by ``python -m shared_networks.convert``; without it that method is left out. Writes
``gesenet_rivals_<data_name>.json``, ``.md`` and ``.png``. ``--section validation`` takes the held-out cases of
train.json, on which settings are chosen, and ``--checkpoint`` measures other weights than the bundle's.
``--quick`` compares three methods on made-up pairs.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks import gesenet_jobs
from benchmarks.figures import COLOURS, save
from benchmarks.gesenet_jobs import AS_GIVEN, METHODS, METRICS
from benchmarks.options import quick_run
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.toy_data import write_toy_pictures


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the comparison and return what it wrote as JSON."""
    parser = gesenet_jobs.pairs_parser("gesenet_rivals", [name for name in METHODS if name != AS_GIVEN])
    given = gesenet_jobs.parse_pairs(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_pictures):
            given.methods = ["gesenet", "maximum", "guided_filter"]
            return compare(given)
    return compare(given)


def compare(given: argparse.Namespace) -> dict:
    """Measure the methods and report; ``given`` are the options of the command."""
    values = gesenet_jobs.measure(given, {name: (name, {}) for name in given.methods})
    counts = {modality: len(metrics["SSIM"]) for modality, metrics in values[given.methods[0]].items()}
    methods = {name: gesenet_jobs.means_of(found) for name, found in values.items()}
    facts = gesenet_jobs.facts_of(given) | {"pairs": counts, "methods": methods}
    stem = f"gesenet_rivals_{given.data_name}"
    report = write_report("gesenet_rivals", given.out, gesenet_jobs.chosen_pairs(given), facts, table, stem)
    draw_boxes(values, counts, given.out / stem)
    return report


def draw_boxes(values: Mapping[str, gesenet_jobs.Values], counts: Mapping[str, int], path: Path) -> None:
    """Box plots of method -> modality -> metric -> values, a row for each modality (``counts``: its number of pairs)
    and a column for each metric; ``path`` is without suffix.
    """
    figure = Figure(figsize=(2.6 * len(METRICS), 2.7 * len(counts) + 0.6), layout="constrained")
    rows = figure.subplots(len(counts), len(METRICS), squeeze=False)
    for row, (modality, count) in zip(rows, counts.items(), strict=True):
        for axes, metric in zip(row, METRICS, strict=True):
            columns = [by_modality[modality][metric] for by_modality in values.values()]
            drawn = axes.boxplot(
                columns, patch_artist=True, widths=0.7, flierprops={"markersize": 2}, medianprops={"color": "black"}
            )
            for index, patch in enumerate(drawn["boxes"]):
                patch.set(facecolor=COLOURS[index % len(COLOURS)], alpha=0.75)
            axes.set_xticks([])
            axes.grid(axis="y", alpha=0.3)
        row[0].set_ylabel(f"{modality} ({count} pairs)")
    for axes, metric in zip(rows[0], METRICS, strict=True):
        axes.set_title(metric, fontsize=10)
    titles = [METHODS[name].title for name in values]
    figure.legend(drawn["boxes"], titles, loc="outside lower center", ncols=min(7, len(titles)), fontsize=9)
    save(figure, path)


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns: mean over pairs, the best of a column in bold."""
    rows = []
    for modality, count in result["pairs"].items():
        best = {metric: max(entry[modality][metric] for entry in result["methods"].values()) for metric in METRICS}
        for name, entry in result["methods"].items():
            values = entry[modality]
            cells = [f"**{values[m]:.3f}**" if values[m] == best[m] else f"{values[m]:.3f}" for m in METRICS]
            rows.append([f"{modality} ({count})", METHODS[name].title, *cells])
    return markdown_table(["pairs", "method", *METRICS], rows)


if __name__ == "__main__":
    print_report(main, table)
