"""Tables of what the phases, the smoke test and the timings gave."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import markdown_table


def _rows(out: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(out.glob(pattern)) for line in path.read_text("utf-8").splitlines()]


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [["" if row.get(name) is None else row[name] for name in names] for row in rows]
    return markdown_table(names, cells)


def write_report(out: Path, phases: Sequence[Mapping[str, Any]]) -> bool:
    """Write ``report.md`` from ``smoke_*.jsonl``, ``timings.jsonl`` and the phases; whether anything failed.

    A phase has name, limit, seconds and outcome.
    """
    smoke, timings = _rows(out, "smoke_*.jsonl"), _rows(out, "timings.jsonl")
    failures = [row for row in smoke if row["error"]]
    text = ["# First minutes", "", _table(phases)]
    if smoke:
        text += ["", f"## Every config once: {len(smoke)} run, {len(failures)} failed", ""]
        text += [_table(failures)] if failures else []
    if timings:
        text += ["", f"## Timings on {timings[0]['device']}"]
        for kind in dict.fromkeys(row["what"].split(" ")[0] for row in timings):
            rows = [row for row in timings if row["what"].split(" ")[0] == kind]
            text += ["", _table([{key: value for key, value in row.items() if key != "device"} for row in rows])]
    for path in sorted(out.glob("evaluation/*_comparison.md")):
        text += ["", "## Evaluation", "", path.read_text("utf-8")]
    (out / "report.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return bool(failures) or any(phase["outcome"] != "done" for phase in phases)
