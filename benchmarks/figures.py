"""Pictures of measured numbers, as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.case_values import mean_over_cases
from shared_networks.visualize.small_png import save_small

__all__ = ["draw_boxes", "draw_lines", "draw_losses", "draw_pairs", "draw_severity", "save"]

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which readers with any colour vision can tell apart."""
MARKERS = "osD^vPX"


def save(figure: Figure, path: Path) -> None:
    """Write ``<path>.png``; the folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_small(figure, path.with_suffix(".png"))


def draw_lines(axes: Axes, lines: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Lines with markers: title -> points."""
    for index, (title, points) in enumerate(lines.items()):
        style = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
        axes.plot(*zip(*points, strict=True), label=title, markersize=4, **style)
    axes.grid(alpha=0.3)


def draw_boxes(groups: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], path: Path) -> None:
    """Box plots, a row for each group (modality) and a column for each metric.

    Args:
        groups: group -> metric -> method -> values.
        path: where to, without suffix.
    """
    metrics = list(next(iter(groups.values())))
    figure = Figure(figsize=(2.6 * len(metrics), 2.7 * len(groups) + 0.6), layout="constrained")
    rows = figure.subplots(len(groups), len(metrics), squeeze=False)
    patches: list = []
    for row, (group, by_metric) in zip(rows, groups.items(), strict=True):
        for axes, (metric, methods) in zip(row, by_metric.items(), strict=True):
            drawn = axes.boxplot(list(methods.values()), patch_artist=True, widths=0.7, flierprops={"markersize": 2})
            patches = drawn["boxes"]
            for index, patch in enumerate(patches):
                patch.set_facecolor(COLOURS[index % len(COLOURS)])
                patch.set_alpha(0.75)
            for median in drawn["medians"]:
                median.set_color("black")
            axes.set_xticks([])
            axes.grid(axis="y", alpha=0.3)
            axes.set_title(metric if group == next(iter(groups)) else "", fontsize=10)
        row[0].set_ylabel(group)
    figure.legend(patches, list(methods), loc="outside lower center", ncols=min(7, len(methods)), fontsize=9)
    save(figure, path)


def draw_losses(curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], path: Path, window: int = 20) -> None:
    """Losses of several trainings over the steps: mean over the folds of the moving average.

    Args:
        curves: loss -> title of a training -> values of each fold, step by step.
        path: where to, without suffix.
        window: steps of the moving average; fewer where a training is shorter.
    """
    titles = list(dict.fromkeys(title for trainings in curves.values() for title in trainings))
    figure = Figure(figsize=(5 * len(curves), 4.2), layout="constrained")
    drawn: dict[str, Any] = {}
    for axes, (loss, trainings) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        for title, folds in trainings.items():
            length = min(len(fold) for fold in folds)
            mean = np.mean([fold[:length] for fold in folds], axis=0)
            width = min(window, length)
            smooth = np.convolve(mean, np.full(width, 1 / width), mode="valid")
            turn, place = divmod(titles.index(title), len(COLOURS))
            style = {"color": COLOURS[place], "linestyle": ("-", "--", ":")[turn % 3]}
            (drawn[title],) = axes.plot(np.arange(width, length + 1), smooth, **style)
        axes.set(xlabel="step", ylabel=f"mean of {window} steps and of the folds", title=loss)
        axes.grid(alpha=0.3)
    figure.legend(list(drawn.values()), list(drawn), loc="outside lower center", ncols=4, fontsize=9)
    save(figure, path)


def draw_pairs(
    panels: Mapping[str, Mapping[str, tuple[Mapping[str, float], Mapping[str, float]]]],
    legend: tuple[str, str],
    path: Path,
) -> None:
    """Two values of each subject, side by side and joined by a line, with their means as bars.

    Args:
        panels: metric -> name below the axis -> values of the subjects, of the one and of the other; only subjects
            that both have are drawn.
        legend: what the one and the other are.
        path: where to, without suffix.
    """
    names = list(next(iter(panels.values())))
    figure = Figure(figsize=(1.2 + 0.75 * len(names) * len(panels), 3.6), layout="constrained")
    bars: list = []
    for axes, (metric, by_name) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for place, (one, other) in enumerate(by_name.values()):
            both = [subject for subject in one if subject in other]
            heights = [[values[subject] for subject in both] for values in (one, other)]
            places = [place - 0.2, place + 0.2]
            means = [np.mean(height) if both else np.nan for height in heights]
            bars = list(axes.bar(places, means, 0.36, color=COLOURS[:2], alpha=0.6))
            axes.plot(places, heights, color="black", marker="o", markersize=2.5, linewidth=0.6)
        axes.set_xticks(range(len(names)), names, rotation=40, ha="right", fontsize=9)
        axes.set_title(metric, fontsize=10)
        axes.grid(axis="y", alpha=0.3)
    figure.legend(bars, legend, loc="outside lower center", ncols=2, fontsize=9)
    save(figure, path)


def draw_severity(report: Mapping[str, Any], kinds: Mapping[str, tuple[float, str]], path: Path) -> None:
    """Mean Dice and SCD against the strength of each degradation.

    Args:
        report: what :mod:`benchmarks.rmr_severity` writes as JSON.
        kinds: degradation -> (the paper's strength, label of the axis).
        path: where to, without suffix.
    """
    metrics = {"Dice_mean": "mean Dice", "Dice_WML": "Dice of WML", "SCD": "SCD"}
    figure = Figure(figsize=(10, 8), layout="constrained")
    rows = figure.subplots(len(metrics), len(kinds), sharex="col", sharey="row", squeeze=False)
    for row, (metric, label) in zip(rows, metrics.items(), strict=True):
        for axes, (kind, (strength, _)) in zip(row, kinds.items(), strict=True):
            lines = {}
            for entry in report["methods"].values():
                if metric != "SCD" or entry["fuses"]:
                    names = [f"{kind.replace(' ', '_')}_{f}" if f else "none" for f in report["factors"]]
                    values = [mean_over_cases(entry["settings"][setting][metric]) for setting in names]
                    strengths = [factor * strength for factor in report["factors"]]
                    lines[entry["title"]] = list(zip(strengths, values, strict=True))
            draw_lines(axes, lines)
        row[0].set_ylabel(label)
    for axes, (strength, label) in zip(rows[-1], kinds.values(), strict=True):
        axes.set_xlabel(f"{label} (paper: {strength:g})")
        axes.set_xticks([factor * strength for factor in report["factors"]])
    for axes, kind in zip(rows[0], kinds, strict=True):
        axes.set_title(kind)
    rows[0][0].legend(fontsize=9)
    save(figure, path)
