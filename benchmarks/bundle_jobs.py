"""Runs of bundle configs that depend on each other: done once, resumed after an interruption, several at a time.

Each job has a folder of its own below the work folder, with ``log.txt`` and, when it is done, ``done.json``: the
command, its seconds and the machine. A job whose ``done.json`` holds the same command and whose product is there is not
run again. One that was interrupted is given the same command again, so that a training goes on from its newest
checkpoint; one whose command has changed starts in an empty folder.
"""

import json
import multiprocessing
import os
import runpy
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import ROOT
from benchmarks.machine import hardware
from shared_networks.utils.atomic import atomic_text


@dataclass(frozen=True)
class Job:
    """One run of the bundle runner with the arguments ``words`` of ``python -m monai.bundle``.

    ``name`` is its folder below the work folder (``"ours/fold0/train"``), ``product`` the file that it makes in there,
    and ``needs`` are the names of jobs that must be done before.
    """

    name: str
    words: tuple[str, ...]
    product: str
    needs: tuple[str, ...] = ()

    def done(self, work: Path) -> bool:
        """Whether this very command has run to its end and its product is still there."""
        return _same(_read(work / self.name / "done.json"), self) and (work / self.name / self.product).is_file()


def bundle_words(bundle: Path, run_id: str, configs: Sequence[str], keys: Mapping[str, Any]) -> tuple[str, ...]:
    """Arguments of the bundle runner: a list of a bundle's configs by name, and overrides."""
    files = [str(bundle / "configs" / f"{name}.json") for name in configs]
    words = ["run", run_id, "--config_file", str(files), "--bundle_root", str(bundle)]
    for key, value in keys.items():
        words += [f"--{key}", str(value)]
    return tuple(words)


def finish(jobs: Sequence[Job], work: Path, parallel: int = 1, threads: int = 0) -> None:
    """Run what is not done yet; a job stands behind those that it needs.

    ``parallel`` processes run at a time, 0 runs everything in this one, without the seconds that each needs to start;
    ``threads`` of each, 0 for an equal share of the CPU's. When jobs failed, whatever does not depend on them has been
    run, and RuntimeError names the log of each.
    """
    waiting = [job for job in jobs if not job.done(work)]
    if not waiting:
        return
    threads = _threads_of_a_run(parallel, threads)
    done = {job.name for job in jobs} - {job.name for job in waiting}
    failed: list[str] = []
    running: dict = {}
    with _pool(parallel, threads) as pool:
        while waiting or running:
            for job in [job for job in waiting if done.issuperset(job.needs)][: max(1, parallel) - len(running)]:
                waiting.remove(job)
                _prepare_folder(job, work)
                print(f"{time.strftime('%H:%M:%S')} {job.name}", flush=True)
                running[pool.submit(_run, job.words, str(work / job.name))] = job
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                if future.exception() is None and (work / job.name / job.product).is_file():
                    note = {"words": list(job.words), "seconds": future.result()}
                    note["hardware"] = hardware_of_a_run(parallel, threads)
                    _write(work / job.name / "done.json", note | {"threads": threads, "parallel": parallel})
                    done.add(job.name)
                else:
                    failed.append(job.name)
    if failed:
        logs = ", ".join(str(work / name / "log.txt") for name in failed)
        raise RuntimeError(f"{len(failed)} runs failed, {len(waiting)} that need them were not started; see {logs}")


def _threads_of_a_run(parallel: int, threads: int) -> int:
    return threads or max(1, (os.cpu_count() or 1) // max(1, parallel))


def hardware_of_a_run(parallel: int, threads: int) -> str:
    """What each run computes on, in words: the bundles take a GPU where there is one."""
    return hardware("cuda" if torch.cuda.is_available() else "cpu", _threads_of_a_run(parallel, threads))


class _InProcess(Executor):
    """Runs what is submitted at once, here."""

    def submit(self, function: Callable, /, *arguments: Any) -> Future:
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


def _pool(parallel: int, threads: int) -> Executor:
    if not parallel:
        return _InProcess()
    return ProcessPoolExecutor(parallel, multiprocessing.get_context("spawn"), _start_worker, (threads,))


def _prepare_folder(job: Job, work: Path) -> None:
    folder = work / job.name
    if not _same(_read(folder / "started.json"), job):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _write(folder / "started.json", {"words": list(job.words)})


def _same(note: dict, job: Job) -> bool:
    """Whether a note is about this command; the order of its overrides does not matter."""
    return sorted(note.get("words", [])) == sorted(job.words)


def _start_worker(threads: int) -> None:
    torch.set_num_threads(threads)
    sys.path.insert(0, str(ROOT))


def _run(words: Sequence[str], folder: str) -> float:
    """The command line of ``python -m monai.bundle`` in this process, with its output in a log; returns the seconds."""
    argv, sys.argv = sys.argv, ["monai.bundle", *words]
    started = time.perf_counter()
    kept = [os.dup(stream) for stream in (1, 2)]
    try:
        with (Path(folder) / "log.txt").open("ab") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
            runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"exit code {end.code}") from end
    except Exception:
        # Into the log: what a worker hands on of an exception is shortened.
        os.write(2, traceback.format_exc().encode())
        raise
    finally:
        sys.argv = argv
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
    return time.perf_counter() - started


def _read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _write(path: Path, content: dict) -> None:
    atomic_text(path, json.dumps(content, indent=2) + "\n")
