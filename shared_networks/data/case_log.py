"""What became of every case of a run."""

import logging
from collections import Counter
from typing import Any

__all__ = ["CaseLog"]


class CaseLog:
    """Collects one entry a case, in the order in which the cases were decided.

    An entry is a dict with ``case``, ``status`` (``"ok"``, ``"warned"``, ``"refused"`` or ``"skipped"``) and ``reason``
    ('' when ok), and ``seconds``, ``inputs_sha256`` and ``fingerprint`` where they are known. Loader and handlers of a
    run share one log.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self.logger = logging.getLogger(type(self).__name__)

    def add(self, item: dict[str, Any]) -> None:
        """Enter a case by what its item says: ``refused``, ``skipped`` and ``warning`` hold the reasons, if any."""
        keys = ("case", "refused", "skipped", "warning")
        case, refused, skipped, warning = (" ".join(str(item.get(key, "")).split()) for key in keys)
        status = "refused" if refused else "skipped" if skipped else "warned" if warning else "ok"
        reason = refused or skipped or warning
        if status != "ok":
            self.logger.log(logging.DEBUG if skipped else logging.WARNING, f"{case} {status}: {reason}")
        known = {key: item[key] for key in ("seconds", "inputs_sha256", "fingerprint") if key in item}
        self.entries.append({"case": case, "status": status, "reason": reason, **known})

    def counts(self) -> dict[str, int]:
        """Number of cases with each status."""
        found = Counter(entry["status"] for entry in self.entries)
        return {status: found[status] for status in ("ok", "warned", "refused", "skipped")}

    def count(self, status: str) -> int:
        """Number of cases with a status."""
        return sum(entry["status"] == status for entry in self.entries)

    def exit_code(self) -> int:
        """2 when a case was refused, else 0."""
        return 2 if self.count("refused") else 0
