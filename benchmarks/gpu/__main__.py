"""The first minutes on a GPU, in one command that keeps to its budget:

``python -m benchmarks.gpu --brains FOLDER --pairs FOLDER --out FOLDER --budget 540``

A. every config once, B. timings, C. training of the shipped recipe of RMR-Fusion (stage 1, then stage 2) with
schedules set from B's rates so that they end, its evaluation, clean and degraded, then GeSeNet with what is left. Every
phase is a process with a limit of seconds; what fails is listed and the rest goes on. Weights are copied out after
every phase, in files below ``--file_mb``.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import GESENET, RMR, ROOT
from benchmarks.bundle_jobs import bundle_words
from benchmarks.gpu.report import write_report
from benchmarks.toy_data import FEW_VERSIONS, small_gesenet

# Validation, checkpoints and the start of the process take the rest.
_USED_FOR_STEPS = 0.7
_EPOCHS = 10
# Making the versions of stage 2 takes the CPU 8 to 15 seconds each, eight at a time.
_FEWER, _MAKING_THEM = {"versions": 12, "renewed": 1}, 45.0


class Budget:
    """Seconds that are left for everything, and the phases run so far, whose logs go to ``out``."""

    def __init__(self, seconds: float, out: Path) -> None:
        self.end = time.monotonic() + seconds
        self.out = out
        self.phases: list[dict[str, Any]] = []

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return self.end - time.monotonic()

    def run(self, name: str, commands: Sequence[Sequence[str]], most: float, keep: float = 0.0) -> bool:
        """Run processes side by side, at most so many seconds and so that ``keep`` are left; whether all went well.

        They are asked to end first (SIGTERM), and killed five seconds later.
        """
        limit = min(most, self.left - keep - 5)
        note: dict[str, Any] = {"phase": name, "limit_s": round(limit, 1)}
        self.phases.append(note)
        if limit < 3:
            note["outcome"] = "no time"
            return False
        started, codes = time.monotonic(), []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
        with (self.out / "log.txt").open("ab") as log:
            log.write(f"\n== {name}\n".encode())
            log.flush()
            running = [
                subprocess.Popen([sys.executable, *words], stdout=log, stderr=log, cwd=ROOT, env=environment)
                for words in commands
            ]
            for process in running:
                codes.append(_wait(process, started + limit - time.monotonic()))
        note |= {"seconds": round(time.monotonic() - started, 1), "outcome": "done" if not any(codes) else f"{codes}"}
        print(f"{name}: {note['outcome']} in {note['seconds']} s, {self.left:.0f} s left", flush=True)
        return not any(codes)


def _wait(process: subprocess.Popen, seconds: float) -> int | str:
    try:
        return process.wait(max(0.1, seconds))
    except subprocess.TimeoutExpired:
        process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return "out of time"


def schedule(rate: float, seconds: float) -> dict[str, int]:
    """Epochs and steps of a training that ends within the seconds, at a rate in steps/s."""
    steps = max(_EPOCHS, int(rate * seconds * _USED_FOR_STEPS))
    return {"max_epochs": _EPOCHS, "iterations_per_epoch": max(1, steps // _EPOCHS), "val_interval": 2}


def rates(out: Path) -> dict[str, float]:
    """Steps/s of the shipped recipes as part B measured them, by ``bundle config``."""
    found: dict[str, float] = {}
    path = out / "timings.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        row = json.loads(line)
        if row["what"].startswith("train "):
            found.setdefault(row["what"].removeprefix("train "), row["steps_per_s"])
    return found


def train_and_judge(budget: Budget, given: argparse.Namespace, work: Path) -> None:
    """Part C."""
    measured, tiny = rates(given.out), given.tiny
    device = {"device": f"$torch.device('{given.device}')"}
    brains = {**device, "dataset_dir": given.brains, "ckpt_dir": work / "rmr", "output_dir": work / "rmr" / "eval"}
    small = {"patch_size": [14, 14, 7], "validation_size": [14, 14, 7]} if tiny else {}
    judging = 0.22 * budget.left
    available = budget.left - judging - 15

    def train(name: str, bundle: Path, config: str, share: float, keys: Mapping[str, Any], before: float = 0.0) -> bool:
        seconds = share * available
        rate = measured.get(f"{bundle.name} {config}", 1.0)
        steps = (
            {"max_epochs": 1, "iterations_per_epoch": 2, "val_interval": 1}
            if tiny
            else schedule(rate, max(seconds / 2, seconds - before))
        )
        words = ["-m", "monai.bundle", *bundle_words(bundle, "training", [config], {**keys, **steps})]
        done = budget.run(f"{name} {steps}", [words], 1.25 * seconds, keep=judging)
        carry_out(work, given.out, given.file_mb)
        return done

    train("C: stage 1", RMR, "train_autoencoder", 0.25, {**brains, **small})
    own = work / "rmr" / "autoencoder.pt"
    start = {"autoencoder_checkpoint": own} if own.is_file() else {}
    few = FEW_VERSIONS if tiny else _FEWER
    train("C: stage 2", RMR, "train", 0.55, {**brains, **small, **few, **start}, _MAKING_THEM)
    if (work / "rmr" / "model.pt").is_file():
        for degrade in (False, True):
            keys = {**device, "dataset_dir": given.brains, "checkpoint": work / "rmr" / "model.pt", "degrade": degrade}
            keys |= {"output_dir": given.out / "evaluation", "data_name": "validation"}
            words = ["-m", "monai.bundle", *bundle_words(RMR, "evaluating", ["train", "evaluate"], keys)]
            budget.run(f"C: evaluation, {'degraded' if degrade else 'clean'}", [words], judging / 2)
    keys = {**device, "dataset_dir": given.pairs, "ckpt_dir": work / "gesenet", "output_dir": work / "gesenet" / "eval"}
    keys |= small_gesenet(given.pairs) if tiny else {}
    available = budget.left - 20
    judging = 0.0
    train("C: GeSeNet", GESENET, "train", 0.8, keys)


def carry_out(work: Path, out: Path, file_mb: float) -> None:
    """Copy the best weights there are into the output folder, in parts where a file is larger than allowed."""
    for bundle in ("rmr", "gesenet"):
        for path in sorted((work / bundle).glob("*.pt")):
            if "_checkpoint_" in path.name:
                continue
            content, size = path.read_bytes(), int(file_mb * 2**20)
            parts = [content[start : start + size] for start in range(0, len(content), size)]
            for number, part in enumerate(parts):
                ending = f".part{number}" if len(parts) > 1 else ""
                (out / f"{bundle}_{path.name}{ending}").write_bytes(part)


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
    parser.add_argument("--parts", default="ABC")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--jobs", type=int, default=4, help="processes of part A side by side")
    parser.add_argument("--file_mb", type=float, default=15.0, help="largest file of weights")
    parser.add_argument("--most", type=int, default=None, help="configs of part A for each process")
    parser.add_argument("--tiny", action="store_true", help="small numbers, for a rehearsal")
    given = parser.parse_args(arguments)
    given.brains, given.pairs, given.out = (path.resolve() for path in (given.brains, given.pairs, given.out))
    work = given.out / "work"
    work.mkdir(parents=True, exist_ok=True)
    budget = Budget(given.budget, given.out)
    common = ["--device", given.device, "--out", str(given.out)]
    if "A" in given.parts:
        most = [] if given.most is None else ["--most", str(given.most)]
        commands = [
            ["-m", "benchmarks.gpu.smoke", *common, "--share", f"{number}/{given.jobs}", *most]
            for number in range(given.jobs)
        ]
        budget.run("A: every config once", commands, 90 if not given.tiny else 600, keep=0.5 * given.budget)
    if "B" in given.parts:
        seconds = 0.25 * given.budget
        words = ["-m", "benchmarks.gpu.timings", *common, "--brains", str(given.brains), "--pairs", str(given.pairs)]
        words += ["--seconds", str(0.8 * seconds), *(["--tiny"] if given.tiny else [])]
        budget.run("B: timings", [words], seconds, keep=0.4 * given.budget)
    if "C" in given.parts:
        train_and_judge(budget, given, work)
    failed = write_report(given.out, budget.phases)
    pack_reports(given.out, work)
    shutil.rmtree(work, ignore_errors=True)
    for folder in (*given.out.glob("smoke_*"), given.out / "timings"):
        shutil.rmtree(folder, ignore_errors=True)
    print((given.out / "report.md").read_text(encoding="utf-8"))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
