"""The report of a run over many cases."""

import json
from contextlib import suppress
from pathlib import Path

from ignite.engine import Engine, Events

from shared_networks.data.case_log import CaseLog
from shared_networks.errors import InputError
from shared_networks.utils.atomic import atomic_path

__all__ = ["BatchReport"]


class BatchReport:
    """Enters every finished case in a log, and writes the log to ``<output_dir>/run_report.json``.

    The file holds ``counts`` (ok, warned, refused) and ``cases`` (one entry each with case, status, reason). It is
    also written when the run breaks off.

    Args:
        log: shared with the loader, which enters refused cases.
        output_dir: folder of the report, made when the run starts; '' writes nothing.
    """

    def __init__(self, log: CaseLog, output_dir: str = "") -> None:
        self.log = log
        self.output_dir = str(output_dir)

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator whose batches are decollated lists of items."""
        engine.add_event_handler(Events.STARTED, self._prepare)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._enter)
        engine.add_event_handler(Events.COMPLETED, self._write)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._break_off)

    def _prepare(self, engine: Engine) -> None:
        """Find out before the first case whether the folder can be written."""
        if not self.output_dir:
            return
        try:
            Path(self.output_dir).mkdir(parents=True, exist_ok=True)
            self._write(engine)
        except OSError as error:
            raise InputError(
                f"{self.output_dir}: results cannot be written ({error.strerror}); give another output_dir."
            ) from error

    def _enter(self, engine: Engine) -> None:
        for item, output in zip(engine.state.batch, engine.state.output, strict=True):
            self.log.add({**item, **{key: output[key] for key in ("refused",) if key in output}})

    def _write(self, engine: Engine) -> None:
        if not self.output_dir:
            return
        counts = {status: self.log.count(status) for status in ("ok", "warned", "refused")}
        report = {"counts": counts, "cases": self.log.entries}
        with atomic_path(Path(self.output_dir) / "run_report.json") as temporary:
            temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    def _break_off(self, engine: Engine, error: Exception) -> None:
        with suppress(OSError):  # the first error is the one to show
            self._write(engine)
        raise error
