"""``cases.csv``: the cases of a run as one table, written as the run goes."""

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from shared_networks.errors import CaseStatus
from shared_networks.outputs.case_row import case_row, row_columns
from shared_networks.transforms.save_case import read_report
from shared_networks.utils.atomic import atomic_path
from shared_networks.utils.run_file import RunFile


class CaseTable(RunFile):
    """Writes ``<output_dir>/cases.csv``: a line of names, then a row for each case as soon as it is decided.

    The file is comma-separated UTF-8, so that ``pandas.read_csv("cases.csv")`` and spreadsheets read it as it is. A run
    that is killed leaves the rows of what was done. A case that was done before gets its row from its report, and
    ``seconds`` from the table of that run; that way the table of the last run is that of all cases.

    Args:
        inputs: names of the sources.
        class_names: classes of the label map, the background first and the lesions last; () for none.
        by_region: with columns for the regions of the lesions.
        highest_lesion_load: see :func:`shared_networks.outputs.case_row.case_flags`.
        limits: the same; with columns for what they are about. None leaves both out.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        class_names: Sequence[str] = (),
        by_region: bool = False,
        highest_lesion_load: float = 5.0,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        self.columns = row_columns(inputs, class_names, by_region, limits is not None)
        self.limits = limits
        self.highest_lesion_load = highest_lesion_load
        self.rows: list[dict[str, Any]] = []
        self.path = Path("cases.csv")
        self.logger = logging.getLogger(type(self).__name__)
        self._seconds: dict[str, float] = {}

    def start(self, folder: Path, mark: str) -> None:
        """Begin an empty table."""
        self.path = folder / f"cases{mark}.csv"
        self._seconds = _seconds_of(self.path)
        self.rows = []
        self._write()

    def add(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Append a row for each entry of the log."""
        new = self._rows(entries)
        self.rows += new
        with _open(self.path, "a") as stream:
            csv.DictWriter(stream, self.columns).writerows(new)

    def finish(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Write the table anew where it lacks entries: those of other processes, or those that found the disk full."""
        if len(entries) != len(self.rows):
            self.rows = self._rows(entries)
        try:
            self._write()
        except OSError as error:  # a spreadsheet has it open, on Windows
            self.logger.warning(f"{self.path}: cannot be written ({error.strerror}); close it and run again.")

    def _rows(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        rows = []
        for entry in entries:
            report = {} if entry["status"] == CaseStatus.REFUSED else read_report(self.path.parent, entry["case"])
            entry = {"seconds": self._seconds.get(entry["case"], ""), **entry}
            rows.append(case_row(entry, report, self.columns, self.highest_lesion_load, self.limits))
        return rows

    def _write(self) -> None:
        with atomic_path(self.path) as temporary, _open(temporary, "w") as stream:
            writer = csv.DictWriter(stream, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)


def _open(path: Path, mode: str) -> TextIO:
    """For csv, which ends the lines; a file's name that is no Unicode is escaped."""
    return path.open(mode, encoding="utf-8", errors="backslashreplace", newline="")


def _seconds_of(path: Path) -> dict[str, float]:
    """Case -> seconds in an earlier table; {} when there is none that can be read."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {row["case"]: float(row["seconds"]) for row in csv.DictReader(stream) if row["seconds"]}
    except (OSError, ValueError, TypeError, KeyError, csv.Error):
        return {}
