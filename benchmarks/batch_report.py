"""Cost of the report of a batch: ``python -m benchmarks.batch_report``.

Runs that do nothing but report, of more and more cases: seconds of the whole run, and of a case.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence

from ignite.engine import Engine

from shared_networks.data import CaseLog
from shared_networks.handlers import BatchReport

__all__ = ["main", "report_seconds"]


def report_seconds(cases: int) -> float:
    """Seconds of a run over so many cases."""
    reason = "T1 and FLAIR look swapped; check t1.nii.gz and flair.nii.gz"
    hashes = {"inputs_sha256": 64 * "0", "fingerprint": 64 * "1"}
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(lambda engine, batch: [{}])
        BatchReport(CaseLog(), folder).attach(engine)
        begun = time.perf_counter()
        engine.run([[{"case": f"{number:06d}", "warning": reason, **hashes}] for number in range(cases)])
        return time.perf_counter() - begun


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each number of cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[500, 1000, 2000, 10000])
    print("cases  seconds  ms a case")
    for cases in parser.parse_args(arguments).cases:
        seconds = report_seconds(cases)
        print(f"{cases:5d}  {seconds:7.2f}  {1000 * seconds / cases:9.3f}", flush=True)


if __name__ == "__main__":
    main()
