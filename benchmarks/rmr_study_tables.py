"""Markdown of the cross-validation of RMR-Fusion."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.case_values import defined, difference_text, mean_over_cases
from benchmarks.report import markdown_table
from benchmarks.rmr_study_plan import CONDITIONS, INSIDE_AND_ALONE

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


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`benchmarks.rmr_study.main` returns."""
    contestants = result["contestants"]
    segmenting = {name: entry for name, entry in contestants.items() if entry["segments"]}
    fusing = [entry for entry in contestants.values() if entry["fuses"]]
    parts = [
        f"{result['data']}; {len(result['folds'])} of {result['folds_of_the_division']} folds "
        f"({'; '.join(', '.join(fold) for fold in result['folds'])}); "
        f"seeds {', '.join(map(str, result['seeds']))}; {result['steps']} steps each, stage 1 {result['stage1_steps']} "
        f"steps on {len(result['stage1_subjects'])} unlabelled subjects; CSF, GM and WM against silver labels, WML "
        "against manual ones; weights of the last step.",
        _means("method", segmenting.values(), SEGMENTATION, with_drop=True),
    ]
    first, *others = segmenting.values() or [None]
    if others:
        parts += [
            f"{first['title']} minus the other, paired by subject: mean [95 % bootstrap interval], subjects in which "
            "it is higher. For the drop, lower is better.",
            _differences("against", [(entry["title"], first, entry) for entry in others]),
        ]
    heads = [
        (segmenting[alone]["title"].removesuffix(" alone"), segmenting[inside], segmenting[alone])
        for inside, alone in INSIDE_AND_ALONE.items()
        if {inside, alone} <= set(segmenting)
    ]
    if heads:
        text = "The same head inside the framework minus alone, paired by subject, as above:"
        parts += [text, _differences("head", heads)]
    if fusing:
        parts.append(_means("fused volume", fusing, {metric: metric for metric in FUSION}))
    return "\n\n".join(parts)


def _means(
    heading: str, contestants: Iterable[Mapping[str, Any]], metrics: Mapping[str, str], with_drop: bool = False
) -> str:
    """Mean of each metric (name -> title) over the subjects, clean and degraded."""
    rows = []
    for entry in contestants:
        for condition in CONDITIONS:
            cells = [_number(mean_over_cases(entry[condition].get(metric, {}))) for metric in metrics]
            if with_drop:
                cells.append(_number(mean_over_cases(drop(entry)), 4) if condition == "degraded" else "")
            rows.append([entry["title"], condition, *cells])
    last = ["drop of the mean"] if with_drop else []
    return markdown_table([heading, "input", *metrics.values(), *last], rows)


def _differences(heading: str, pairs: Sequence[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> str:
    """One method minus another one, subject by subject: (name of the row, the one, the other)."""
    compared = {"mean Dice": "Dice_mean", "WML Dice": "Dice_WML"}
    rows = []
    for name, one, other in pairs:
        cells = [
            difference_text(one[condition].get(metric, {}), other[condition].get(metric, {}))
            for metric in compared.values()
            for condition in CONDITIONS
        ]
        rows.append([name, *cells, difference_text(drop(one), drop(other))])
    titles = [f"{title}, {condition}" for title in compared for condition in CONDITIONS]
    return markdown_table([heading, *titles, "drop"], rows)


def _number(value: float, digits: int = 3) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
