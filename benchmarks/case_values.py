"""Read the per-case tables that evaluations write."""

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import fmean

__all__ = ["defined", "mean_over_cases", "read_case_values"]


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
