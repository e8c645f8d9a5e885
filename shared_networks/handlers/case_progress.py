"""From one case to the next: progress, and the memory that the one before leaves."""

from collections.abc import Sized

from ignite.engine import Engine, Events
from tqdm.auto import tqdm

from shared_networks.data.case_log import CaseLog
from shared_networks.utils.memory import return_freed_memory


class CaseProgress:
    """A bar that counts the cases that a log holds as decided, with the time that is left of all of ``dataset``.

    ignite's ``ProgressBar`` counts iterations of a known number; here batches hold a varying number of cases, and
    refused cases make none.
    """

    def __init__(self, log: CaseLog, dataset: Sized) -> None:
        self.log = log
        self.dataset = dataset
        self.bar: tqdm | None = None

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator, after the handler that fills the log."""
        engine.add_event_handler(Events.STARTED, self._open)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._update)
        engine.add_event_handler(Events.COMPLETED, self._close)

    def _open(self, engine: Engine) -> None:
        self.bar = tqdm(total=len(self.dataset), unit="case", desc="fusing")

    def _update(self, engine: Engine) -> None:
        if self.bar is not None:
            self.bar.update(len(self.log.entries) - self.bar.n)

    def _close(self, engine: Engine) -> None:
        if self.bar is not None:
            self._update(engine)
            self.bar.close()


class ReturnMemory:
    """Give freed memory back to the system before every case: those before had other sizes, and left gaps.

    Inside a case memory is kept, see :func:`shared_networks.utils.memory.keep_freed_memory`.
    """

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator."""
        engine.add_event_handler(Events.ITERATION_STARTED, return_freed_memory)
