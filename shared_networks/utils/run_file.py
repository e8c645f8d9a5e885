"""What is written beside the report of a run, about all of its cases."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class RunFile:
    """Base of table, page, colour tables and the like: each does what it needs of the three.

    :class:`shared_networks.handlers.BatchReport` calls :meth:`start`, :meth:`add` and :meth:`finish`.
    """

    def start(self, folder: Path, mark: str) -> None:
        """Begin, before the first case, in a folder that exists; names end with ``mark`` where two runs share it."""

    def add(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Take the cases that were decided since the last call."""

    def finish(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """End, with the entries of all cases, also when the run breaks off."""
