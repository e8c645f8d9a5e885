"""Markdown tables of evaluations of fusion and segmentation on whole volumes."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared_networks.visualize.fusion_tables import weights_noted

MEAN_DICE = "Dice_mean"
"""Name of the mean of the classes' Dice."""


def segmentation_tables(
    summaries: Sequence[Mapping[str, Any]],
    published: Mapping[str, Mapping[str, float]] | None = None,
    published_name: str = "published",
) -> str:
    """Markdown: segmentation, fusion, the drop of the mean Dice from clean to degraded input, and the commands.

    ``summaries`` is what :class:`shared_networks.handlers.SegmentationEvaluationReport` wrote as JSON, with the same
    ``data`` in all; ``published`` are ``{condition: {metric: value}}`` of a paper.
    """
    published = published or {}
    names = list(dict.fromkeys(name for summary in summaries for name in summary["metrics"]))
    about_segmentation = [name for name in names if name.partition("_")[0] in ("Dice", "HD95", "F1")]
    about_fusion = [name for name in names if name not in about_segmentation]
    lines = [f"# RMR-Fusion on {summaries[0]['data']}", ""]
    for title, columns in (("Segmentation", about_segmentation), ("Fusion", about_fusion)):
        if columns:
            lines += [f"## {title}", "", *_table(summaries, columns, published, published_name), ""]
    lines += _drops(summaries, published, published_name)
    lines += [
        "Mean ± standard deviation over cases. Cases in which neither map holds a class (and, for distances, in which",
        "one of them does not) have no value: they are left out of the mean, and their number follows in brackets.",
        "HD95 is in mm. Fusion is compared with the clean images, slice by slice, also where the input was degraded.",
        "Made by:",
        "",
    ]
    for summary in summaries:
        hardware = f"{summary['hardware']}, {summary['threads']} threads{weights_noted(summary)}"
        lines.append(
            f"- {summary['method']}, {summary['condition']}: `{summary['command']}` ({summary['date']}, {hardware}, "
            f"{summary['parameters']:,} parameters, {summary['seconds_per_case']:.1f} s a case)"
        )
    return "\n".join(lines) + "\n"


def _table(
    summaries: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    published: Mapping[str, Mapping[str, float]],
    published_name: str,
) -> list[str]:
    """Rows of those that measured one of the columns."""
    lines = [f"| method | input | cases | {' | '.join(columns)} |", "|---" * (len(columns) + 3) + "|"]
    for summary in summaries:
        if not set(columns) & summary["metrics"].keys():
            continue
        cells = [_cell(summary["metrics"].get(name)) for name in columns]
        lines.append(f"| {summary['method']} | {summary['condition']} | {summary['cases']} | {' | '.join(cells)} |")
    for condition, values in published.items():
        cells = [f"{values[name]:.4f}" if name in values else "" for name in columns]
        lines.append(f"| {published_name} | {condition} | | {' | '.join(cells)} |")
    return lines


def _cell(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return ""
    without = f" ({entry['undefined']} without)" if entry["undefined"] else ""
    return (f"{entry['mean']:.4f} ± {entry['sd']:.4f}" if entry["mean"] is not None else "none") + without


def _drops(
    summaries: Sequence[Mapping[str, Any]], published: Mapping[str, Mapping[str, float]], published_name: str
) -> list[str]:
    """Mean Dice on clean minus mean Dice on degraded input, of every method that has both."""
    means: dict[str, dict[str, float | None]] = {}
    for summary in summaries:
        mean = summary["metrics"].get(MEAN_DICE, {}).get("mean")
        means.setdefault(summary["method"], {})[summary["condition"]] = mean
    means[published_name] = {condition: values.get(MEAN_DICE) for condition, values in published.items()}
    lines = [
        f"| {method} | {clean - degraded:.4f} |"
        for method, values in means.items()
        if (clean := values.get("clean")) is not None and (degraded := values.get("degraded")) is not None
    ]
    return (
        ["## Drop of the mean Dice, clean to degraded", "", "| method | drop |", "|---|---|", *lines, ""]
        if lines
        else []
    )
