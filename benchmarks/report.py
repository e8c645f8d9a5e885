"""The files that a benchmark leaves."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

__all__ = ["write_report"]


def write_report(
    name: str, out: Path, arguments: Sequence[str] | None, facts: Mapping[str, Any], table: Callable[[dict], str]
) -> dict[str, Any]:
    """Write ``<out>/<name>.json`` and, by ``table``, ``<name>.md``.

    Args:
        name: module of the benchmark below ``benchmarks``.
        out: folder, made when missing.
        arguments: words behind the command; those of this process when None or empty.
        facts: what was measured; the command and the date are put in front.
        table: makes Markdown of the whole.

    Returns:
        What was written as JSON.
    """
    result = {
        "command": f"python -m benchmarks.{name} {' '.join(arguments or sys.argv[1:])}".strip(),
        "date": datetime.now(timezone.utc).date().isoformat(),
        **facts,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    (out / f"{name}.md").write_text(table(result))
    return result
