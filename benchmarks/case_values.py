"""Read the per-case tables that evaluations write."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean

__all__ = ["mean_over_cases", "read_case_values"]


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


def mean_over_cases(values: dict[str, float | None]) -> float:
    """Mean of the values that are defined; NaN when there is none."""
    defined = [value for value in values.values() if value is not None]
    return fmean(defined) if defined else math.nan
