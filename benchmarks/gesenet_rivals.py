"""GeSeNet against rivals: six metrics on the pairs of each modality, as a table and as box plots (paper: Fig. 7).

``python -m benchmarks.gesenet_rivals --dataset_dir PAIRS [--section test] [--released CHECKPOINT]
[--methods gesenet,maximum] [--data_name harvard_test] [--every 1] [--jobs 2] [--work runs/gesenet_rivals]
[--out benchmarks/results]``

Every method is one evaluation of the bundle; what is done is not run again. ``CHECKPOINT`` is the authors' released
one, converted by ``python -m shared_networks.convert``; without it that method is left out. Writes
``gesenet_rivals_<data_name>.json``, ``.md`` and ``.png``.
``--quick`` compares three methods on made-up pairs.
"""

import argparse
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from benchmarks.bundle_jobs import finish, hardware_of_a_run
from benchmarks.figures import draw_boxes
from benchmarks.gesenet_jobs import (
    AS_GIVEN,
    METHODS,
    METRICS,
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
from benchmarks.study_options import print_study, quick_run
from benchmarks.toy_data import write_toy_pictures

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the comparison and return what it wrote as JSON."""
    parser = pairs_parser("gesenet_rivals", [name for name in METHODS if name != AS_GIVEN])
    given = parse_pairs(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_pictures):
            return compare(given, ["gesenet", "maximum", "guided_filter"])
    return compare(given, methods_of(parser, given.methods, given.released))


def compare(given: argparse.Namespace, names: Sequence[str]) -> dict:
    """Measure the methods and report; ``given`` are the options of the command."""
    work = given.work.resolve()
    pairs = work / f"{given.data_name}_{given.every}.json"
    write_pair_list(pairs, given.dataset_dir, given.every, given.section)
    jobs = [
        evaluation(name, f"{given.data_name}/{name}", given.data_name, source_keys(name, pairs, given.released), work)
        for name in names
    ]
    finish(jobs, work, given.jobs, given.threads)
    values = {name: read_by_modality([work / job.name / job.product]) for name, job in zip(names, jobs, strict=True)}
    facts = {
        "hardware": hardware_of_a_run(given.jobs, given.threads),
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
    stem = f"gesenet_rivals_{given.data_name}"
    report = write_report("gesenet_rivals", given.out, chosen_pairs(given, names), facts, table, stem)
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
    print_study(main, table)
