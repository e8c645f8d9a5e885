"""All studies in their quick forms, one after the other: ``python -m benchmarks.quick [--out benchmarks/results]``.

Made-up data, toy budgets, two minutes: it shows that every study runs from its command to its tables and figures.
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ROOT, gesenet_ablation, gesenet_disturbed, gesenet_rivals, rmr_severity, rmr_study

STUDIES = {
    study.__name__.rpartition(".")[2]: study
    for study in (rmr_study, rmr_severity, gesenet_rivals, gesenet_ablation, gesenet_disturbed)
}
"""Module of each study by its name."""


def main(arguments: Sequence[str] | None = None) -> dict[str, dict]:
    """Run every study and return what each wrote, by name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "quick")
    given = parser.parse_args(arguments)
    reports = {}
    for name, study in STUDIES.items():
        started = time.perf_counter()
        reports[name] = study.main(["--quick", "--out", str(given.out)])
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    return reports


if __name__ == "__main__":
    main()
