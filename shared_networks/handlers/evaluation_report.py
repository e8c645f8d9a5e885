"""Collect what an evaluation finds, case by case, and write it: per-case CSV, summary JSON, a Markdown comparison."""

import csv
import glob
import io
import json
import math
import platform
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents

from shared_networks.errors import InputError
from shared_networks.io.file_names import is_path
from shared_networks.utils.atomic import atomic_text
from shared_networks.utils.hashing import weights_entry


class EvaluationReport(ABC):
    """Base of the reports of both bundles: clock, cases, and the three files.

    The metrics must be attached to the evaluator with ``save_details=True`` and give one value an image, and the
    evaluator must decollate its batches. The files are replaced atomically, and only by the process of rank 0.

    Args:
        output_dir: folder, made when missing.
        method: name of what is evaluated; part of the file names.
        data: name of the data.
        network: whose parameters are counted, frozen ones too; None counts 0.
        published: figures of a paper, put beside ours.
        published_name: name of those rows.
        command: the command line, for the record.
        checkpoint: weights of the network, whose name and hash are noted; of no meaning without parameters.
    """

    row_names: tuple[str, ...]
    """Names of the first columns."""

    def __init__(
        self,
        output_dir: str,
        method: str,
        data: str,
        network: torch.nn.Module | None = None,
        published: Mapping[str, Mapping[str, float]] | None = None,
        published_name: str = "published",
        command: str = "",
        checkpoint: str = "",
    ) -> None:
        self.output_dir = Path(output_dir)
        self.method, self.data = method, data
        self.parameters = sum(parameter.numel() for parameter in network.parameters()) if network is not None else 0
        self.published, self.published_name = published or {}, published_name
        self.command, self.checkpoint = command, checkpoint
        self.cases: list[tuple[str, ...]] = []
        self.seconds: list[float] = []
        self._started = 0.0

    @abstractmethod
    def describe(self, item: Mapping[str, Any]) -> tuple[str, ...]:
        """First cells of an item's row, e.g. its case; must not be longer than :attr:`row_names`."""

    @property
    @abstractmethod
    def stem(self) -> str:
        """Name of the CSV and the JSON file, which starts with the data's."""

    @abstractmethod
    def summary(self, columns: Mapping[str, Sequence[float]]) -> dict[str, Any]:
        """What the JSON file holds beside the facts that every evaluation notes."""

    @abstractmethod
    def comparison(self, summaries: Sequence[dict[str, Any]]) -> str:
        """Markdown that compares all summaries of the data."""

    def complete(self, columns: dict[str, list[float]]) -> dict[str, list[float]]:
        """Columns (metric -> a value for each case; NaN where it is not defined) that are written."""
        return columns

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator, after its metrics.

        Raises:
            InputError: when a name cannot be a part of a file name, or the files of this name are of other data.
        """
        self._check_names()
        engine.add_event_handler(Events.STARTED, self._reset)
        engine.add_event_handler(Events.ITERATION_STARTED, self._start_clock)
        engine.add_event_handler(IterationEvents.FORWARD_COMPLETED, self._stop_clock)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._note_cases)
        engine.add_event_handler(Events.COMPLETED, self._write)

    def _check_names(self) -> None:
        """Before the run, whose result would be lost: ``a`` with ``b_c`` and ``a_b`` with ``c`` are one name."""
        for key, name in (("data_name", self.data), ("method", self.method)):
            if not name or is_path(name):
                raise InputError(f"{key} is {name!r}; give a name that can be a part of a file name.")
        file = self.output_dir / f"{self.stem}.json"
        earlier = self._read(file)
        if earlier and (earlier.get("data"), earlier.get("method")) != (self.data, self.method):
            raise InputError(
                f"{file} is of method {earlier.get('method')} on {earlier.get('data')}, not of {self.method} on "
                f"{self.data}; give another data_name, method or output_dir."
            )

    @staticmethod
    def _read(file: Path) -> dict[str, Any]:
        """A summary; empty where there is none, or a file of something else."""
        try:
            summary = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return summary if isinstance(summary, dict) else {}

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
            self.cases.append(self.describe({"case": len(self.cases), **item}))

    def _write(self, engine: Engine) -> None:
        # In a distributed run the metrics are gathered already, rank after rank; the cases follow in the same order.
        self.cases = [case for part in idist.all_gather(self.cases, group=None) for case in part]
        if idist.get_rank() != 0:
            return
        details = engine.state.metric_details
        columns = self.complete({name: detail.flatten().tolist() for name, detail in details.items()})
        self.output_dir.mkdir(parents=True, exist_ok=True)
        table = io.StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow([*self.row_names, *columns])
        for row, case in enumerate(self.cases):
            values = (column[row] for column in columns.values())
            writer.writerow([*case, *("" if math.isnan(value) else f"{value:.6f}" for value in values)])
        atomic_text(self.output_dir / f"{self.stem}.csv", table.getvalue())
        facts = {
            "method": self.method,
            "data": self.data,
            "date": datetime.now(timezone.utc).date().isoformat(),
            "command": self.command,
            "hardware": torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU {platform.machine()}",
            "threads": torch.get_num_threads(),
            "parameters": self.parameters,
            "weights": weights_entry(self.checkpoint) if self.parameters else {},
        }
        own = self.summary(columns)
        atomic_text(self.output_dir / f"{self.stem}.json", json.dumps(facts | own, indent=2) + "\n")
        summaries = list(self._summaries(own))
        atomic_text(self.output_dir / f"{self.data}_comparison.md", self.comparison(summaries))

    def _summaries(self, own: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Of all methods on this data and with the keys of ``own``: data may have names that begin alike, and the other
        bundle may write here too."""
        for file in sorted(self.output_dir.glob(f"{glob.escape(self.data)}_*.json")):
            summary = self._read(file)
            if summary.get("data") == self.data and own.keys() <= summary.keys():
                yield summary
