"""The files that a benchmark leaves."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from shared_networks.runner.one_line_errors import shorten_errors
from shared_networks.runner.typed_arguments import shell_line


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table without a line end."""
    lines = [f"| {' | '.join(map(str, cells))} |" for cells in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])


def markdown(result: Mapping[str, Any], table: Callable[[dict], str]) -> str:
    """The table of a result, and below it the command, the date and the machine."""
    facts = [result[name] for name in ("date", "hardware", "dtype") if name in result]
    facts += [f"torch {result['torch']}"] if "torch" in result else []
    return f"{table(dict(result))}\n\n`{result['command']}` ({', '.join(facts)})\n"


def write_report(
    name: str,
    out: Path,
    arguments: Sequence[str] | None,
    facts: Mapping[str, Any],
    table: Callable[[dict], str],
    stem: str = "",
) -> dict[str, Any]:
    """Write ``<out>/<stem>.json`` and, by ``table``, ``<stem>.md``; returns what was written as JSON.

    ``facts`` is what was measured; the command (``python -m benchmarks.<name>`` with ``arguments``, or those of this
    process when there are none) and the date are put in front. ``stem`` is ``name`` when empty.
    """
    words = " ".join(arguments) if arguments else shell_line(sys.argv[1:])
    result = {
        "command": f"python -m benchmarks.{name} {words}".strip(),
        "date": datetime.now(timezone.utc).date().isoformat(),
        **facts,
    }
    out.mkdir(parents=True, exist_ok=True)
    stem = stem or name
    (out / f"{stem}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (out / f"{stem}.md").write_text(markdown(result, table), encoding="utf-8")
    return result


def fault_line(fault: BaseException) -> str:
    """Class and first line of an error, for a row of a table; at most 300 characters."""
    return f"{type(fault).__name__}: {fault}".splitlines()[0][:300]


def print_report(main: Callable[[], dict], table: Callable[[dict], str]) -> None:
    """Run a benchmark as a command and print its report; bad input ends it with one line."""
    shorten_errors()
    print(markdown(main(), table))
