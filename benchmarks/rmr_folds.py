"""Does mutual reinforcement pay? The framework and its head alone on subjects that neither has seen, fold by fold.

``python -m benchmarks.rmr_folds TABLES [--first rmr_fusion] [--second head_alone] [--out benchmarks/results]``

``TABLES`` holds the tables of ``evaluate.json`` for every fold, ``*_<method>_clean.csv`` and
``*_<method>_degraded.csv``, which its keys ``method`` and ``degrade`` name. Writes ``rmr_folds.json`` (every subject),
``rmr_folds.md`` and the figure ``rmr_folds.png``: for every subject the one minus the other.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.case_values import defined, difference_text, mean_over_cases, read_case_values
from benchmarks.figures import COLOURS, MARKERS, save
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.rmr_study_plan import CONDITIONS
from shared_networks.errors import InputError

METRICS = {"Dice_CSF": "CSF", "Dice_GM": "GM", "Dice_WM": "WM", "Dice_WML": "WML", "Dice_mean": "mean"}
TITLES = {"rmr_fusion": "RMR-Fusion", "head_alone": "its head alone"}

Values = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""Condition -> metric -> case -> value."""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Compare two methods; returns what is written as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", type=Path)
    parser.add_argument("--first", default="rmr_fusion")
    parser.add_argument("--second", default="head_alone")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args(arguments)
    methods = {name: read_method(given.tables, name) for name in (given.first, given.second)}
    draw(*methods.values(), given.out / "rmr_folds")
    options = [f"--first {given.first} --second {given.second}"] if set(methods) != set(TITLES) else []
    return write_report("rmr_folds", given.out, ["TABLES", *options], {"methods": methods}, table)


def read_method(tables: Path, method: str) -> dict[str, dict[str, dict[str, float | None]]]:
    """Values of all folds.

    Raises:
        InputError: when there is no table of a condition.
    """
    found = {}
    for condition in CONDITIONS:
        files = sorted(tables.glob(f"*_{method}_{condition}.csv"))
        if not files:
            raise InputError(f"{tables}: no *_{method}_{condition}.csv; run evaluate.json with --method {method}.")
        values = read_case_values(files)
        found[condition] = {metric: values[metric] for metric in METRICS}
    return found


def table(result: Mapping[str, Any]) -> str:
    """Markdown: the means, and the differences with their intervals."""
    rows = [
        [TITLES.get(name, name), condition]
        + [f"{mean_over_cases(values[condition][metric]):.3f}" for metric in METRICS]
        for name, values in result["methods"].items()
        for condition in CONDITIONS
    ]
    first, second = result["methods"].values()
    rows += [
        [
            "difference",
            condition,
            *(difference_text(first[condition][metric], second[condition][metric]) for metric in METRICS),
        ]
        for condition in CONDITIONS
    ]
    return markdown_table(["method", "input", *METRICS.values()], rows)


def draw(first: Values, second: Values, path: Path) -> None:
    """Differences of every subject in mean Dice and in that of lesions, clean and degraded; ``path`` without suffix."""
    figure = Figure(figsize=(9.0, 4.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    names = sorted(first["clean"]["Dice_mean"])
    for axes, metric, title in zip(panels, ("Dice_mean", "Dice_WML"), ("mean Dice", "Dice of WML"), strict=True):
        for condition, colour, marker in zip(CONDITIONS, COLOURS, MARKERS, strict=False):
            ours, theirs = (defined(values[condition][metric]) for values in (first, second))
            places = [
                (ours[name] - theirs[name], row)
                for row, name in enumerate(names)
                if {name} <= ours.keys() & theirs.keys()
            ]
            if not places:
                continue
            axes.plot(*zip(*places, strict=True), marker, color=colour, label=condition, markersize=5)
            mean = sum(difference for difference, _ in places) / len(places)
            axes.axvline(mean, color=colour, linestyle=":", linewidth=1)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set(title=title, xlabel="inside the framework minus the head alone")
        axes.grid(alpha=0.3)
    panels[0].set_yticks(range(len(names)), names, fontsize=8)
    panels[0].legend(fontsize=8)
    save(figure, path)


if __name__ == "__main__":
    print_report(main, table)
