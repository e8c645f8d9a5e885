"""What became of every case of a run."""

import logging
from collections import Counter
from typing import Any

from shared_networks.errors import CaseStatus, one_line


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
        case, refused, skipped, warning = (
            one_line(item.get(key, "")) for key in ("case", CaseStatus.REFUSED, CaseStatus.SKIPPED, "warning")
        )
        reasons = {CaseStatus.REFUSED: refused, CaseStatus.SKIPPED: skipped, CaseStatus.WARNED: warning}
        status = next((status for status, reason in reasons.items() if reason), CaseStatus.OK)
        reason = reasons.get(status, "")
        if status != CaseStatus.OK:
            self.logger.log(logging.DEBUG if skipped else logging.WARNING, f"{case} {status}: {reason}")
        known = {key: item[key] for key in ("seconds", "inputs_sha256", "fingerprint") if key in item}
        self.entries.append({"case": case, "status": status, "reason": reason, **known})

    def counts(self) -> dict[str, int]:
        """Number of cases with each status."""
        found = Counter(entry["status"] for entry in self.entries)
        return {status: found[status] for status in CaseStatus}

    def count(self, status: str) -> int:
        """Number of cases with a status."""
        return sum(entry["status"] == status for entry in self.entries)

    def exit_code(self) -> int:
        """2 when a case was refused, else 0."""
        return 2 if self.count(CaseStatus.REFUSED) else 0
