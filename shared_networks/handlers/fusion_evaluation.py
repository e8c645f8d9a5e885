"""Write what an evaluation found: per-image CSV, summary JSON and a Markdown table."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from shared_networks.handlers.evaluation_report import EvaluationReport
from shared_networks.visualize.fusion_tables import comparison_table


class FusionEvaluationReport(EvaluationReport):
    """Collect the per-image values of an evaluator's metrics and write them when it has finished.

    Writes ``<data>_<method>.csv`` (a row an image), ``<data>_<method>.json`` (mean, standard deviation and number per
    modality, time per image, parameters, command) and, from all summaries of the same data in the folder,
    ``<data>_comparison.md``, so that evaluating one more method adds its rows. The metrics must be attached with
    ``save_details=True`` and the evaluator must decollate its batches.

    The arguments are those of :class:`EvaluationReport`; ``published`` holds ``{modality: {metric: value}}``.
    """

    row_names = ("case", "modality")

    def describe(self, item: Mapping[str, Any]) -> tuple[str, ...]:
        """Case and modality."""
        return str(item["case"]), str(item.get("modality", ""))

    @property
    def stem(self) -> str:
        """``<data>_<method>``."""
        return f"{self.data}_{self.method}"

    def comparison(self, summaries: Sequence[dict[str, Any]]) -> str:
        """Markdown table of all methods."""
        return comparison_table(summaries, self.published, self.published_name)

    def summary(self, columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        """Mean and standard deviation of each metric by modality, and the time of an image."""
        modalities = sorted({modality for _, modality in self.cases})
        return {
            # The fastest image: the others may have shared the machine with other work.
            "seconds_per_image": min(self.seconds),
            "modalities": {name: self._modality_summary(name, columns) for name in modalities},
        }

    def _modality_summary(self, modality: str, values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        rows = [index for index, (_, name) in enumerate(self.cases) if name == modality]
        metrics = {}
        for name, column in values.items():
            chosen = [column[row] for row in rows]
            spread = statistics.stdev(chosen) if len(chosen) > 1 else 0.0
            metrics[name] = {"mean": statistics.fmean(chosen), "sd": spread}
        return {"images": len(rows), "metrics": metrics}
