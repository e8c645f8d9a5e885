"""Values of cases: the tables that evaluations write, their means, and two methods on the same subjects."""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
from scipy.stats import bootstrap


def read_case_values(tables: Iterable[Path]) -> dict[str, dict[str, float | None]]:
    """Merge ``case,metric,...`` tables: metric -> case -> value, None where it is not defined.

    A case that stands in several tables (several seeds) gets the mean of the values that are defined.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for path in sorted(tables):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                case = row.pop("case")
                for metric, text in row.items():
                    values = found.setdefault(metric, {}).setdefault(case, [])
                    values += [float(text)] if text else []
    return {
        metric: {case: fmean(values) if values else None for case, values in cases.items()}
        for metric, cases in found.items()
    }


def defined(values: Mapping[str, float | None]) -> dict[str, float]:
    """The values that are defined."""
    return {case: value for case, value in values.items() if value is not None}


def mean_over_cases(values: Mapping[str, float | None]) -> float:
    """Mean of the values that are defined; NaN when there is none."""
    found = defined(values).values()
    return fmean(found) if found else math.nan


def paired_difference(ours: Mapping[str, float], theirs: Mapping[str, float], resamples: int = 10_000) -> dict | None:
    """Compare values of the same subjects; those that are missing or NaN in either are left out.

    The interval is the 95 % percentile bootstrap of the mean difference over subjects (seed 0), with one subject its
    value. With few subjects it is narrow for the wrong reason: six hold six values, whatever is drawn from them.

    Returns ``mean``, ``low``, ``high`` of ours minus theirs, ``better`` (subjects in which ours is larger) and
    ``subjects``; None when they have no subject in common.
    """
    both = [name for name in ours if name in theirs and not math.isnan(ours[name]) and not math.isnan(theirs[name])]
    if not both:
        return None
    differences = np.array([ours[name] - theirs[name] for name in both])
    low = high = differences.mean()
    if np.ptp(differences) > 0:
        random = np.random.default_rng(0)
        sampled = bootstrap((differences,), np.mean, n_resamples=resamples, method="percentile", random_state=random)
        low, high = sampled.confidence_interval
    better = int((differences > 0).sum())
    return {
        "mean": float(differences.mean()),
        "low": float(low),
        "high": float(high),
        "better": better,
        "subjects": len(both),
    }


def difference_text(ours: Mapping[str, float | None], theirs: Mapping[str, float | None]) -> str:
    """:func:`paired_difference` as a cell, e.g. ``+0.020 [+0.004, +0.038], 10 of 13``; '' without subjects."""
    found = paired_difference(defined(ours), defined(theirs))
    if found is None:
        return ""
    return f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}], {found['better']} of {found['subjects']}"
