"""Tables of what the phases, the smoke test and the timings gave."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import markdown_table


def _rows(out: Path, pattern: str) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(out.glob(pattern)) for line in path.read_text("utf-8").splitlines()]


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [["" if row.get(name) is None else row[name] for name in names] for row in rows]
    return markdown_table(names, cells)


def write_report(out: Path, phases: Sequence[Mapping[str, Any]]) -> bool:
    """Write ``report.md`` from ``smoke_*.jsonl``, ``rates.jsonl``, ``timings.jsonl`` and the phases; whether anything
    failed.

    A phase has name, limit, seconds and outcome.
    """
    smoke, timings = _rows(out, "smoke_*.jsonl"), _rows(out, "timings.jsonl")
    failures = [row for row in smoke if row["error"]]
    text = ["# First minutes", "", _table(phases)]
    if smoke:
        left_out = [row for row in smoke if row.get("left_out")]
        run, total = len(smoke) - len(left_out), smoke[0]["of"]
        counts = (
            f"{run} of {total} run, {len(failures)} failed, {len(left_out)} left out, {total - len(smoke)} not reached"
        )
        rows = [{"configs": row["name"], "outcome": row["error"]} for row in failures]
        rows += [{"configs": row["name"], "outcome": f"left out: {row['left_out']}"} for row in left_out]
        text += ["", f"## Every config once: {counts}", "", _table(rows)]
    rates = _rows(out, "rates.jsonl")
    if rates:
        text += ["", "## Rates that set the schedules", "", _table(rates)]
    if timings:
        text += ["", f"## Timings on {timings[0]['device']}"]
        for kind in dict.fromkeys(row["what"].split(" ")[0] for row in timings):
            rows = [row for row in timings if row["what"].split(" ")[0] == kind]
            text += ["", _table([{key: value for key, value in row.items() if key != "device"} for row in rows])]
    for path in sorted(out.glob("evaluation/*_comparison.md")):
        text += ["", "## Evaluation", "", path.read_text("utf-8")]
    (out / "report.md").write_text("\n".join(text) + "\n", encoding="utf-8")
    return bool(failures) or any(phase["outcome"] != "done" for phase in phases)
