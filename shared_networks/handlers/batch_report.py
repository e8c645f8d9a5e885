"""The report of a run over many cases."""

import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import datetime, timezone
from pathlib import Path

import ignite.distributed as idist
from ignite.engine import Engine, Events

from shared_networks.data.case_log import CaseLog
from shared_networks.data.done_cases import DoneCases
from shared_networks.errors import CaseStatus, InputError
from shared_networks.utils.atomic import atomic_text, remove_abandoned
from shared_networks.utils.folder_lock import folder_lock
from shared_networks.utils.run_file import RunFile

_SHARE = 0.05
"""Of the time of a run that goes into its report."""


class BatchReport:
    """Enters every finished case in a log, and writes the log to ``<output_dir>/run_report.json``.

    The file holds ``counts`` (ok, warned, refused, skipped), ``cases`` (one entry each with case, status, reason,
    seconds since the case before and hashes), ``complete``, the times of start and last writing, and what the cases
    share (weights, settings, versions).
    While the run goes on it is replaced as often as a twentieth of the time allows, because it grows with the cases;
    ``run_report.jsonl`` beside it gets a line a case at once. It goes when the file is complete, so that a run that is
    killed leaves it: every case that was done is there.

    While another process that is still alive reports into the same folder, the file is named
    ``run_report_<process>.json``. In a distributed run the first process reports, and knows the others' cases when all
    have finished.

    Args:
        log: shared with the loader, which enters refused and skipped cases.
        output_dir: folder of the report, made when the run starts; '' writes nothing.
        done: says what the cases share; None says nothing.
        beside: further files about all cases, which are written with the report.
    """

    def __init__(
        self, log: CaseLog, output_dir: str = "", done: DoneCases | None = None, beside: Sequence[RunFile | None] = ()
    ) -> None:
        self.log = log
        self.output_dir = str(output_dir)
        self.done = done
        self.beside = [file for file in beside if file is not None]
        self.path = Path(self.output_dir) / "run_report.json"
        self.logger = logging.getLogger(type(self).__name__)
        self._started = ""
        self._begun = False  # whether the files beside it know their folder
        self._lock = ExitStack()
        self._appended = 0  # entries that are in the lines
        self._may_write_at = 0.0
        self._decided_at = 0.0

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator whose batches are decollated lists of items."""
        engine.add_event_handler(Events.STARTED, self._prepare)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._enter)
        engine.add_event_handler(Events.COMPLETED, self._finish)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._break_off)

    def _prepare(self, engine: Engine) -> None:
        """Find out before the first case whether the folder can be written."""
        self._started, self._decided_at = _now(), time.monotonic()
        if not self._is_writer:
            return
        folder = Path(self.output_dir)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Also in the folders of cases: one that is done is not written to again.
            for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
                remove_abandoned(place)
            if not self._lock.enter_context(folder_lock(folder, wait=False)):
                self.path = folder / f"run_report_{os.getpid()}.json"
                self.logger.warning(f"another run reports into {folder}: the report of this one is {self.path.name}")
            self._lines.unlink(missing_ok=True)
            self._write(complete=False)
            for file in self.beside:
                file.start(folder, self.path.stem.removeprefix("run_report"))
            self._begun = True
        except OSError as error:
            raise self._not_writable(error) from error

    def _enter(self, engine: Engine) -> None:
        now = time.monotonic()
        seconds = round((now - self._decided_at) / max(1, len(engine.state.batch)), 2)
        self._decided_at = now
        for item, output in zip(engine.state.batch, engine.state.output, strict=True):
            refused = output.get(CaseStatus.REFUSED)
            self.log.add({**item, **({CaseStatus.REFUSED: refused} if refused else {"seconds": seconds})})
        if not self._is_writer:
            return
        with suppress(OSError):  # the cases tell of a full disk, and the end does
            self._append()
            if now >= self._may_write_at:
                self._write(complete=False)

    def _append(self) -> None:
        """A line for each new entry: constant cost a case, however many there are."""
        new = self.log.entries[self._appended :]
        self._appended = len(self.log.entries)
        with self._lines.open("a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in new)
        for file in self.beside:
            file.add(new)

    def _finish(self, engine: Engine) -> None:
        if idist.get_world_size() > 1:
            self.log.entries = [entry for part in idist.all_gather(self.log.entries, group=None) for entry in part]
        try:
            self._write(complete=True)
            self._finish_beside()
            self._lines.unlink(missing_ok=True)
        except OSError as error:
            raise self._not_writable(error) from error
        finally:
            self._lock.close()
        counts = ", ".join(f"{count} {status}" for status, count in self.log.counts().items())
        self.logger.info(f"{counts}; {self.path}" if self._is_writer else counts)

    def _break_off(self, engine: Engine, error: Exception) -> None:
        with suppress(OSError):  # the first error is the one to show
            self._write(complete=False)
            self._finish_beside()
            self._lines.unlink(missing_ok=True)
        self._lock.close()
        raise error

    def _finish_beside(self) -> None:
        for file in self.beside if self._begun else ():
            file.finish(self.log.entries)

    @property
    def _is_writer(self) -> bool:
        return bool(self.output_dir) and idist.get_rank() == 0

    @property
    def _lines(self) -> Path:
        return self.path.with_suffix(".jsonl")

    def _write(self, complete: bool) -> None:
        if not self._is_writer:
            return
        begun = time.monotonic()
        report = {
            "counts": self.log.counts(),
            "complete": complete,
            "started": self._started,
            "written": _now(),
            **(self.done.facts() if self.done is not None else {}),
            "cases": self.log.entries,
        }
        atomic_text(self.path, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        ended = time.monotonic()
        self._may_write_at = ended + (ended - begun) / _SHARE

    def _not_writable(self, error: OSError) -> InputError:
        place = error.filename or self.output_dir
        return InputError(
            f"{place}: results cannot be written ({error.strerror}); make space or give another output_dir."
        )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
