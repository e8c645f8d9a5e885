"""Markdown tables of fusion evaluations."""

from collections.abc import Mapping, Sequence
from typing import Any


def comparison_table(
    summaries: Sequence[dict[str, Any]],
    published: dict[str, dict[str, float]] | None = None,
    published_name: str = "published",
) -> str:
    """Compare methods on the same data, one Markdown table a modality and the commands; the best value of a column is
    bold.

    ``summaries`` is what :class:`shared_networks.handlers.FusionEvaluationReport` wrote as JSON; ``published`` are
    ``{modality: {metric: value}}`` of a paper, whose row is never bold, being another measurement.
    """
    published = published or {}
    lines = [f"# Fusion quality on {summaries[0]['data']}", ""]
    modalities = sorted({name for summary in summaries for name in summary["modalities"]})
    for modality in modalities:
        entries = [(s, s["modalities"][modality]) for s in summaries if modality in s["modalities"]]
        names = list(entries[0][1]["metrics"])
        best = {name: max(round(entry["metrics"][name]["mean"], 3) for _, entry in entries) for name in names}
        lines += [f"## {modality or 'all'} ({entries[0][1]['images']} pairs)", ""]
        lines += [f"| method | {' | '.join(names)} | s / image | parameters |"]
        lines += ["|---" * (len(names) + 3) + "|"]
        for summary, entry in entries:
            cells = []
            for name in names:
                mean, spread = entry["metrics"][name]["mean"], entry["metrics"][name]["sd"]
                text = f"{mean:.3f} ± {spread:.3f}"
                cells.append(f"**{text}**" if round(mean, 3) == best[name] else text)
            time = f"{summary['seconds_per_image']:.3f}"
            lines.append(f"| {summary['method']} | {' | '.join(cells)} | {time} | {summary['parameters']:,} |")
        if modality in published:
            cells = [f"{published[modality][name]:.3f}" if name in published[modality] else "" for name in names]
            lines.append(f"| {published_name} | {' | '.join(cells)} | | |")
        lines.append("")
    lines += [
        "Mean ± standard deviation over pairs, of the luminance of the saved 8-bit pictures; `_8bit` marks the older",
        "8-bit form of a metric that the published table uses. Time is that of the fastest image. Made by:",
        "",
    ]
    for summary in summaries:
        hardware = f"{summary['hardware']}, {summary['threads']} threads{weights_noted(summary)}"
        lines.append(f"- {summary['method']}: `{summary['command']}` ({summary['date']}, {hardware})")
    return "\n".join(lines) + "\n"


def weights_noted(summary: Mapping[str, Any]) -> str:
    """``, <file> <first 12 digits of its SHA-256>`` of the weights behind a summary, '' where it notes none."""
    weights = summary.get("weights")
    return f", {weights['file']} {weights['sha256'][:12]}" if weights else ""
