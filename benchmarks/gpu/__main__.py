"""The first minutes on a GPU, in one command that keeps to its budget:

``python -m benchmarks.gpu --brains FOLDER --pairs FOLDER --out FOLDER --budget 540``

A. every config once; C. a short look at the rates, training of the shipped recipe of RMR-Fusion (stage 1, then
stage 2) with schedules set from them so that they end, its evaluation, clean and degraded, then GeSeNet's training;
B. timings with what is left. Every phase is a process with a limit of seconds; what fails is listed and the rest goes
on. Weights are copied out after every training, in files below ``--file_mb``.
"""

import argparse
import shutil
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu.budget import SMOKE, Budget
from benchmarks.gpu.report import write_report
from benchmarks.gpu.training import train_and_judge


def pack_reports(out: Path, work: Path) -> None:
    """One archive of logs, curves and tables, so that few files are left to carry."""
    with tarfile.open(out / "reports.tar.gz", "w:gz") as archive:
        for path in (*out.glob("*.jsonl"), *out.glob("*.txt"), *out.glob("evaluation/*"), *work.glob("*/eval/*")):
            if path.is_file():
                archive.add(path, str(path.relative_to(out if path.is_relative_to(out) else work)))
    for path in (*out.glob("*.jsonl"), *out.glob("evaluation")):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and write ``report.md``; the exit code is 1 when a phase failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu")
    parser.add_argument("--brains", type=Path, required=True, help="labelled T1 and FLAIR, as for train.json")
    parser.add_argument("--pairs", type=Path, required=True, help="MRI and CT, PET or SPECT, as for train.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--budget", type=float, default=540.0, help="seconds for everything")
    parser.add_argument("--parts", default="ACB", help="those that are run, always in the order A, C, B")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--jobs", type=int, default=4, help="processes of part A side by side")
    parser.add_argument("--file_mb", type=float, default=15.0, help="largest file of weights")
    parser.add_argument("--most", type=int, default=None, help="configs of part A for each process")
    parser.add_argument("--tiny", action="store_true", help="small numbers, for a rehearsal")
    parser.add_argument(
        "--launcher", default="", help="module that starts each child in place of the child's own, which it gets first"
    )
    given = parser.parse_args(arguments)
    given.brains, given.pairs, given.out = (path.resolve() for path in (given.brains, given.pairs, given.out))
    work = given.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    budget = Budget(given.budget, given.out, given.launcher)
    common = ["--device", given.device, "--out", str(given.out)]
    if "A" in given.parts:
        most = [] if given.most is None else ["--most", str(given.most)]
        commands = [
            ["benchmarks.gpu.smoke", *common, "--share", f"{number}/{given.jobs}", *most]
            for number in range(given.jobs)
        ]
        part = given.budget / 6
        budget.run("A: every config once", commands, most=part if given.tiny else min(SMOKE, part))
    if "C" in given.parts:
        train_and_judge(budget, given, work)
    if "B" in given.parts:
        words = ["benchmarks.gpu.timings", *common, "--brains", str(given.brains), "--pairs", str(given.pairs)]
        words += ["--seconds", str(0.9 * budget.left - 10), *(["--tiny"] if given.tiny else [])]
        budget.run("B: timings", [words], most=budget.left)
    failed = write_report(given.out, budget.phases)
    pack_reports(given.out, work)
    shutil.rmtree(work, ignore_errors=True)
    for folder in (*given.out.glob("smoke_*"), given.out / "timings", given.out / "rates"):
        shutil.rmtree(folder, ignore_errors=True)
    print((given.out / "report.md").read_text(encoding="utf-8"))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
