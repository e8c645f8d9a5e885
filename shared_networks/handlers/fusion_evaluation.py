"""Write what an evaluation found: per-image CSV, summary JSON and a Markdown table."""

import csv
import json
import platform
import statistics
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents

from shared_networks.utils.atomic import atomic_path
from shared_networks.visualize.fusion_tables import comparison_table

__all__ = ["FusionEvaluationReport"]


class FusionEvaluationReport:
    """Collect the per-image values of an evaluator's metrics and write them when it has finished.

    Writes ``<data>_<method>.csv`` (a row an image), ``<data>_<method>.json`` (mean, standard deviation and number per
    modality, time per image, parameters, command) and, from all summaries of the same data in the folder,
    ``<data>_comparison.md``, so that evaluating one more method adds its rows. The metrics must be attached with
    ``save_details=True`` and the evaluator must decollate its batches.

    Args:
        output_dir: folder, made when missing.
        method: name of what is evaluated, e.g. ``gesenet``; part of the file names.
        data: name of the data, e.g. ``harvard_test``.
        network: counted for the table; None counts 0.
        published: rows of a paper's table, ``{modality: {metric: value}}``, put beside ours.
        published_name: name of those rows.
        command: the command line, for the record.
    """

    def __init__(
        self,
        output_dir: str,
        method: str,
        data: str,
        network: torch.nn.Module | None = None,
        published: dict[str, dict[str, float]] | None = None,
        published_name: str = "published",
        command: str = "",
    ) -> None:
        self.output_dir = Path(output_dir)
        self.method, self.data = method, data
        self.parameters = sum(p.numel() for p in network.parameters() if p.requires_grad) if network is not None else 0
        self.published, self.published_name = published or {}, published_name
        self.command = command
        self.cases: list[tuple[str, str]] = []
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
        for item in engine.state.batch:
            self.cases.append((str(item.get("case", len(self.cases))), str(item.get("modality", ""))))

    def _write(self, engine: Engine) -> None:
        # In a distributed run the metrics are gathered already, rank after rank; the cases follow in the same order.
        self.cases = [case for part in idist.all_gather(self.cases, group=None) for case in part]
        if idist.get_rank() != 0:
            return
        values = {name: detail.flatten().tolist() for name, detail in engine.state.metric_details.items()}
        self.output_dir.mkdir(parents=True, exist_ok=True)
        stem = f"{self.data}_{self.method}"
        with atomic_path(self.output_dir / f"{stem}.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["case", "modality", *values])
            for row, (case, modality) in enumerate(self.cases):
                writer.writerow([case, modality, *(f"{column[row]:.6f}" for column in values.values())])
        with atomic_path(self.output_dir / f"{stem}.json") as path:
            path.write_text(json.dumps(self._summary(values), indent=2) + "\n", encoding="utf-8")
        files = sorted(self.output_dir.glob(f"{self.data}_*.json"))
        summaries = [json.loads(file.read_text("utf-8")) for file in files]
        with atomic_path(self.output_dir / f"{self.data}_comparison.md") as path:
            path.write_text(comparison_table(summaries, self.published, self.published_name), encoding="utf-8")

    def _summary(self, values: dict[str, list[float]]) -> dict[str, Any]:
        modalities = sorted({modality for _, modality in self.cases})
        return {
            "method": self.method,
            "data": self.data,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "command": self.command,
            "hardware": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}",
            "threads": torch.get_num_threads(),
            "parameters": self.parameters,
            # The fastest image: the others may have shared the machine with other work.
            "seconds_per_image": min(self.seconds),
            "modalities": {name: self._modality_summary(name, values) for name in modalities},
        }

    def _modality_summary(self, modality: str, values: dict[str, list[float]]) -> dict[str, Any]:
        rows = [index for index, (_, name) in enumerate(self.cases) if name == modality]
        metrics = {}
        for name, column in values.items():
            chosen = [column[row] for row in rows]
            spread = statistics.stdev(chosen) if len(chosen) > 1 else 0.0
            metrics[name] = {"mean": statistics.fmean(chosen), "sd": spread}
        return {"images": len(rows), "metrics": metrics}
