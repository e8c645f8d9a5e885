"""What became of every case of a run."""

import logging
from typing import Any

__all__ = ["CaseLog"]


class CaseLog:
    """Collects one entry a case, in the order in which the cases were decided.

    An entry is a dict with ``case``, ``status`` (``"ok"``, ``"warned"`` or ``"refused"``) and ``reason`` ('' when
    ok). Loader and handlers of a run share one log.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.logger = logging.getLogger(type(self).__name__)

    def add(self, item: dict[str, Any]) -> None:
        """Enter a case by what its item says: ``refused`` and ``warning`` hold the reasons, if any."""
        case, refused, warning = (" ".join(str(item.get(key, "")).split()) for key in ("case", "refused", "warning"))
        status = "refused" if refused else "warned" if warning else "ok"
        if status != "ok":
            self.logger.warning(f"{case} {status}: {refused or warning}")
        self.entries.append({"case": case, "status": status, "reason": refused or warning})

    def count(self, status: str) -> int:
        """Number of cases with a status."""
        return sum(entry["status"] == status for entry in self.entries)

    def exit_code(self) -> int:
        """2 when a case was refused, else 0."""
        return 2 if self.count("refused") else 0
