"""The files that a benchmark leaves."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

__all__ = ["write_report"]


def write_report(
    name: str,
    out: Path,
    arguments: Sequence[str] | None,
    facts: Mapping[str, Any],
    table: Callable[[dict], str],
    stem: str = "",
) -> dict[str, Any]:
    """Write ``<out>/<stem>.json`` and, by ``table``, ``<stem>.md``.

    Args:
        name: module of the benchmark below ``benchmarks``.
        out: folder, made when missing.
        arguments: words behind the command; those of this process when None or empty.
        facts: what was measured; the command and the date are put in front.
        table: makes Markdown of the whole.
        stem: name of the files; ``name`` when empty.

    Returns:
        What was written as JSON.
    """
    result = {
        "command": f"python -m benchmarks.{name} {' '.join(arguments or sys.argv[1:])}".strip(),
        "date": datetime.now(timezone.utc).date().isoformat(),
        **facts,
    }
    out.mkdir(parents=True, exist_ok=True)
    stem = stem or name
    (out / f"{stem}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text(table(result), encoding="utf-8")
    return result
