"""Markdown of the cross-validation of RMR-Fusion."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.case_values import defined, mean_over_cases
from benchmarks.paired_statistics import paired_difference
from benchmarks.rmr_study_plan import INSIDE_AND_ALONE

__all__ = ["drop", "heads_inside_and_alone", "table"]

SEGMENTATION = {
    "Dice_CSF": "CSF",
    "Dice_GM": "GM",
    "Dice_WM": "WM",
    "Dice_WML": "WML",
    "Dice_mean": "mean",
    "F1_WML": "F1 of WML",
    "HD95_WML": "HD95 of WML, mm",
}
FUSION = ("EN", "FMI", "AG", "SCD", "SSIM", "SD", "MI", "VIF", "Qabf")


def drop(contestant: Mapping[str, Any], metric: str = "Dice_mean") -> dict[str, float]:
    """Value on clean minus value on degraded input, of each subject that has both."""
    clean, degraded = (defined(contestant[condition].get(metric, {})) for condition in ("clean", "degraded"))
    return {case: clean[case] - degraded[case] for case in clean if case in degraded}


def heads_inside_and_alone(
    contestants: Mapping[str, Mapping[str, Any]],
) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Name of each head that was run both inside the framework and alone -> what was measured of the two."""
    return {
        contestants[alone]["title"].removesuffix(" alone"): (contestants[inside], contestants[alone])
        for inside, alone in INSIDE_AND_ALONE.items()
        if {inside, alone} <= set(contestants)
    }


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`benchmarks.rmr_study.main` returns."""
    contestants = result["contestants"]
    segmenting = {name: entry for name, entry in contestants.items() if entry["segments"]}
    fusing = {name: entry for name, entry in contestants.items() if entry["fuses"]}
    lines = [
        f"{result['data']}; {len(result['folds'])} of {result['folds_of_the_division']} folds "
        f"({'; '.join(', '.join(fold) for fold in result['folds'])}); "
        f"seeds {', '.join(map(str, result['seeds']))}; {result['steps']} steps each, stage 1 {result['stage1_steps']} "
        f"steps on {len(result['stage1_subjects'])} unlabelled subjects; CSF, GM and WM against silver labels, WML "
        "against manual ones; weights of the last step.",
        "",
        *_segmentation(segmenting),
    ]
    if len(segmenting) > 1:
        lines += ["", *_against_the_first(segmenting)]
    heads = heads_inside_and_alone(segmenting)
    if heads:
        lines += ["", *_universality(heads)]
    if fusing:
        lines += ["", *_fusion(fusing)]
    return "\n".join([*lines, "", f"`{result['command']}` ({result['date']}, {result['hardware']})"]) + "\n"


def _segmentation(contestants: Mapping[str, Any]) -> list[str]:
    lines = [
        f"| method | input | {' | '.join(SEGMENTATION.values())} | drop of the mean |",
        "|---" * (len(SEGMENTATION) + 3) + "|",
    ]
    for entry in contestants.values():
        for condition in ("clean", "degraded"):
            cells = [_number(mean_over_cases(entry[condition].get(metric, {}))) for metric in SEGMENTATION]
            last = _number(mean_over_cases(drop(entry)), 4) if condition == "degraded" else ""
            lines.append(f"| {entry['title']} | {condition} | {' | '.join(cells)} | {last} |")
    return lines


def _against_the_first(contestants: Mapping[str, Any]) -> list[str]:
    first, *others = contestants.values()
    return [
        f"{first['title']} minus the other, paired by subject: mean [95 % bootstrap interval], subjects in which it is "
        "higher. For the drop, lower is better.",
        "",
        *_differences("against", [(entry["title"], first, entry) for entry in others]),
    ]


def _universality(heads: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[str]:
    return [
        "The same head inside the framework minus alone, paired by subject, as above:",
        "",
        *_differences("head", [(name, inside, alone) for name, (inside, alone) in heads.items()]),
    ]


def _differences(heading: str, rows: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> list[str]:
    """One method minus another one, subject by subject: rows of (name, the one, the other)."""
    lines = [
        f"| {heading} | mean Dice, clean | mean Dice, degraded | WML Dice, clean | WML Dice, degraded | drop |",
        "|---" * 6 + "|",
    ]
    for name, one, other in rows:
        cells = [
            _difference(one[condition].get(metric, {}), other[condition].get(metric, {}))
            for metric in ("Dice_mean", "Dice_WML")
            for condition in ("clean", "degraded")
        ]
        lines.append(f"| {name} | {' | '.join([*cells, _difference(drop(one), drop(other))])} |")
    return lines


def _difference(ours: Mapping[str, float | None], theirs: Mapping[str, float | None]) -> str:
    found = paired_difference(defined(ours), defined(theirs))
    if found is None:
        return ""
    return f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}], {found['better']} of {found['subjects']}"


def _fusion(contestants: Mapping[str, Any]) -> list[str]:
    lines = [f"| fused volume | input | {' | '.join(FUSION)} |", "|---" * (len(FUSION) + 2) + "|"]
    for entry in contestants.values():
        for condition in ("clean", "degraded"):
            cells = [_number(mean_over_cases(entry[condition].get(metric, {}))) for metric in FUSION]
            lines.append(f"| {entry['title']} | {condition} | {' | '.join(cells)} |")
    return lines


def _number(value: float, digits: int = 3) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
