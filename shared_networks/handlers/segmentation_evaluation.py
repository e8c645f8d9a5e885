"""Write what an evaluation of fusion and segmentation found: per-case CSV, summary JSON, Markdown tables."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from shared_networks.handlers.evaluation_report import EvaluationReport
from shared_networks.visualize.segmentation_tables import MEAN_DICE, segmentation_tables


class SegmentationEvaluationReport(EvaluationReport):
    """Collect the values of an evaluator's metrics, one a case, and write them when it has finished.

    Writes ``<data>_<method>_<condition>.csv`` (a row a case; a value that is not defined is an empty cell), the same
    as ``.json`` (mean, standard deviation, number of values and of cases without one) and, from all summaries of the
    same data in the folder, ``<data>_comparison.md``: evaluating one more method or condition adds its rows. The
    metrics must be attached with ``save_details=True`` and give N x 1 values, and the evaluator must decollate its
    batches. Metrics named ``Dice_*`` get a mean, ``Dice_mean``: over the classes of a case, and in the summary over
    the means of the classes.

    Args:
        output_dir: folder, made when missing.
        method: name of what is evaluated; part of the file names.
        data: name of the data.
        condition: ``"clean"`` or ``"degraded"`` input.
        shared: of :class:`EvaluationReport`; ``published`` holds ``{condition: {metric: value}}``.
    """

    row_names = ("case",)

    def __init__(self, output_dir: str, method: str, data: str, condition: str = "clean", **shared: Any) -> None:
        super().__init__(output_dir, method, data, **shared)
        self.condition = condition

    def describe(self, item: Mapping[str, Any]) -> tuple[str, ...]:
        """The case."""
        return (str(item["case"]),)

    @property
    def stem(self) -> str:
        """``<data>_<method>_<condition>``."""
        return f"{self.data}_{self.method}_{self.condition}"

    def comparison(self, summaries: Sequence[dict[str, Any]]) -> str:
        """Markdown tables of all methods and conditions."""
        return segmentation_tables(summaries, self.published, self.published_name)

    def complete(self, columns: dict[str, list[float]]) -> dict[str, list[float]]:
        """The columns with the mean Dice behind the classes, then the other metrics."""
        dice = _dice_names(columns)
        if dice:
            columns[MEAN_DICE] = [_mean(row) for row in zip(*(columns[name] for name in dice), strict=True)]
            order = [*dice, MEAN_DICE]
            columns = {name: columns[name] for name in [*order, *(n for n in columns if n not in order)]}
        return columns

    def summary(self, columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        """Statistics of each metric, the condition and the mean time of a case."""
        metrics = {name: _statistics(column) for name, column in columns.items()}
        dice = _dice_names(columns)
        if dice:
            means = [metrics[name]["mean"] for name in dice if metrics[name]["mean"] is not None]
            metrics[MEAN_DICE]["mean"] = statistics.fmean(means) if means else None
        return {
            "condition": self.condition,
            "seconds_per_case": statistics.fmean(self.seconds),
            "cases": len(self.cases),
            "metrics": metrics,
        }


def _dice_names(columns: Mapping[str, Any]) -> list[str]:
    """Metrics of one class each."""
    return [name for name in columns if name.startswith("Dice_") and name != MEAN_DICE]


def _mean(values: Sequence[float]) -> float:
    """Mean of the values that are defined; NaN for none."""
    defined = [value for value in values if not math.isnan(value)]
    return statistics.fmean(defined) if defined else math.nan


def _statistics(column: Sequence[float]) -> dict[str, Any]:
    defined = [value for value in column if not math.isnan(value)]
    return {
        "mean": statistics.fmean(defined) if defined else None,
        "sd": statistics.stdev(defined) if len(defined) > 1 else 0.0,
        "cases": len(defined),
        "undefined": len(column) - len(defined),
    }
