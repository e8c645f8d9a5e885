"""Seconds: what every phase may take, and processes that keep to it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import ROOT

SMOKE, WRITING = 90.0, 15.0
"""Seconds of part A at most, and those that the report takes at the end."""
SHARES = {
    "rates": 45.0,
    "stage 1": 75.0,
    "stage 2": 165.0,
    "evaluation, clean": 35.0,
    "evaluation, degraded": 35.0,
    "GeSeNet": 80.0,
}
"""Seconds of part C after part A in a call of 540; what is left when a phase begins is shared among it and the later
ones in these proportions. Part B takes what they leave."""
CALLS = {"starting the machine": 60.0, "installing": 20.0, "first call": 540.0, "second call": 240.0}
"""Seconds of the calls ``--parts AC`` and ``--parts B`` and of what comes before, of 900 in all."""

_USED_FOR_STEPS = 0.7  # the rest goes to the start of the process, validation and checkpoints
_EPOCHS = 10


class Budget:
    """Seconds that are left for everything, and the phases run so far, whose output goes to ``out / "log.txt"``.

    ``launcher`` is a module that starts each process in place of its own: ``python -m LAUNCHER MODULE ARGUMENTS``.
    """

    def __init__(self, seconds: float, out: Path, launcher: str = "") -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds
        self.out = out
        self.start = [sys.executable, "-m", *([launcher] if launcher else [])]
        self.phases: list[dict[str, Any]] = []

    @property
    def left(self) -> float:
        """Seconds until the report is to be written."""
        return self.end - time.monotonic() - WRITING

    def share(self, name: str) -> float:
        """Seconds of the phase of that name, which begins now."""
        names = list(SHARES)
        return max(0.0, self.left) * SHARES[name] / sum(SHARES[later] for later in names[names.index(name) :])

    def run(self, name: str, commands: Sequence[Sequence[str]], most: float) -> bool:
        """Run modules with their arguments side by side, at most so many seconds; whether all went well.

        They are asked to end first (SIGTERM), and killed five seconds later.
        """
        limit = min(most, self.left - 5)
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
                subprocess.Popen(
                    [*self.start, *words], stdout=log, stderr=log, cwd=ROOT, env=environment, start_new_session=True
                )
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
        _end(process)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        _end(process, kill=True)
        process.wait()
    return "out of time"


def _end(process: subprocess.Popen, kill: bool = False) -> None:
    """End the process and its children, such as torchrun's, which would stay on the GPU."""
    if not hasattr(os, "killpg"):  # Windows
        return process.kill() if kill else process.terminate()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)


def schedule(rate: float, seconds: float) -> dict[str, int]:
    """Epochs and steps of a training that ends within the seconds, at a rate in steps/s."""
    steps = max(_EPOCHS, int(rate * seconds * _USED_FOR_STEPS))
    return {"max_epochs": _EPOCHS, "iterations_per_epoch": max(1, steps // _EPOCHS), "val_interval": 2}
