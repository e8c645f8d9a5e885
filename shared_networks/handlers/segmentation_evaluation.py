"""Write what an evaluation of fusion and segmentation found: per-case CSV, summary JSON, Markdown tables."""

import csv
import json
import math
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents

from shared_networks.utils.atomic import atomic_path
from shared_networks.visualize.segmentation_tables import MEAN_DICE, segmentation_tables

__all__ = ["SegmentationEvaluationReport"]


class SegmentationEvaluationReport:
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
        network: counted for the table; None counts 0.
        published: figures of a paper, ``{condition: {metric: value}}``, put beside ours.
        published_name: name of those rows.
        command: the command line, for the record.
    """

    def __init__(
        self,
        output_dir: str,
        method: str,
        data: str,
        condition: str = "clean",
        network: torch.nn.Module | None = None,
        published: Mapping[str, Mapping[str, float]] | None = None,
        published_name: str = "published",
        command: str = "",
    ) -> None:
        self.output_dir = Path(output_dir)
        self.method, self.data, self.condition = method, data, condition
        self.parameters = sum(p.numel() for p in network.parameters()) if network is not None else 0
        self.published, self.published_name = published or {}, published_name
        self.command = command
        self.cases: list[str] = []
        self.seconds: list[float] = []
        self._started = 0.0

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator, after its metrics."""
        engine.add_event_handler(Events.STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_STARTED, self._start_clock)
        engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, self._stop_clock)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._note_cases)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _reset(self, engine: Engine) -> None:
        self.cases.clear()
        self.seconds.clear()

    def _start_clock(self, engine: Engine) -> None:
        self._started = time.perf_counter()

    def _stop_clock(self, engine: Engine) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append((time.perf_counter() - self._started) / len(engine.state.batch["image"]))

    def _note_cases(self, engine: Engine) -> None:
        self.cases += [str(item.get("case", len(self.cases))) for item in engine.state.batch]

    def _write(self, engine: Engine) -> None:
        # In a distributed run the metrics are gathered already, rank after rank; the cases follow in the same order.
        self.cases = [case for part in idist.all_gather(self.cases, group=None) for case in part]
        if idist.get_rank() != 0:
            return
        columns = {name: detail.flatten().tolist() for name, detail in engine.state.metric_details.items()}
        dice = [name for name in columns if name.startswith("Dice_")]
        if dice:
            columns[MEAN_DICE] = [_mean(row) for row in zip(*(columns[name] for name in dice), strict=True)]
            # The mean stands behind the classes.
            order = [*dice, MEAN_DICE]
            columns = {name: columns[name] for name in [*order, *(n for n in columns if n not in order)]}
        self.output_dir.mkdir(parents=True, exist_ok=True)
        stem = f"{self.data}_{self.method}_{self.condition}"
        with atomic_path(self.output_dir / f"{stem}.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["case", *columns])
            for row, case in enumerate(self.cases):
                values = (column[row] for column in columns.values())
                writer.writerow([case, *("" if math.isnan(value) else f"{value:.6f}" for value in values)])
        with atomic_path(self.output_dir / f"{stem}.json") as path:
            path.write_text(json.dumps(self._summary(columns, dice), indent=2) + "\n", encoding="utf-8")
        files = sorted(self.output_dir.glob(f"{self.data}_*_*.json"))
        summaries = [json.loads(file.read_text("utf-8")) for file in files]
        with atomic_path(self.output_dir / f"{self.data}_comparison.md") as path:
            path.write_text(segmentation_tables(summaries, self.published, self.published_name), encoding="utf-8")

    def _summary(self, columns: Mapping[str, Sequence[float]], dice: Sequence[str]) -> dict[str, Any]:
        metrics = {name: _statistics(column) for name, column in columns.items()}
        if dice:
            means = [metrics[name]["mean"] for name in dice if metrics[name]["mean"] is not None]
            metrics[MEAN_DICE]["mean"] = statistics.fmean(means) if means else None
        return {
            "method": self.method,
            "data": self.data,
            "condition": self.condition,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "command": self.command,
            "hardware": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}",
            "threads": torch.get_num_threads(),
            "parameters": self.parameters,
            "seconds_per_case": statistics.fmean(self.seconds),
            "cases": len(self.cases),
            "metrics": metrics,
        }


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
