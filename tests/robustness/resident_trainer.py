"""A process that has imported everything, and forks one training for each line that it is given.

Importing takes seconds, a tiny training fractions of one. ``python -m tests.robustness.resident_trainer CONFIG`` reads
lines of JSON and answers each with ``{"signal": number}`` or ``{"code": exit code}``, and ``"seconds"``. A line holds
``keys`` (overrides of the config), and may hold

- ``seconds``: kill -9 after this time;
- ``moment``, ``number``, ``seed``: kill -9 at a moment (:data:`MOMENTS`) of the ``number``-th writing of a checkpoint;
- ``file_size``: no file may become larger, in bytes, as on a full disk;
- ``log``: file that gets what the training says at its end.

POSIX only.
"""

import importlib
import io
import json
import os
import random
import resource
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

import torch
from monai.bundle import run

from shared_networks.runner.one_line_errors import find_input_error

import_module("shared_networks.handlers")  # here, not in every fork

MOMENTS = ("half written", "written", "renamed")
"""A part of the bytes is there; all are, under the temporary name; the file has its own name."""


def kill_at(moment, number, seed):
    """Let this process kill itself at a moment of its ``number``-th writing of a checkpoint."""
    save, replace = torch.save, Path.replace
    left = [number]

    def save_or_die(content, stream):
        left[0] -= 1
        if left[0] or moment != "half written":
            save(content, stream)
            return
        whole = io.BytesIO()
        save(content, whole)
        stream.write(whole.getvalue()[: random.Random(seed).randrange(whole.tell())])
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    def replace_or_die(path, target):
        if moment == "written" and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(path, target)
        if moment == "renamed" and not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save, Path.replace = save_or_die, replace_or_die


def train(config, order):
    """What the forked process does; it does not return."""
    with Path(order.get("log", os.devnull)).open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    if "moment" in order:
        kill_at(order["moment"], order["number"], order["seed"])
    if "file_size" in order:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["file_size"],) * 2)
    try:
        run(run_id="training", config_file=config, **order["keys"])
    except BaseException as error:
        print(f"\nerror: {find_input_error(error)}" if find_input_error(error) else traceback.format_exc(), flush=True)
        os._exit(1)
    os._exit(0)


def main(config):
    """Answer line after line."""
    torch.set_num_threads(1)
    importlib.import_module("shared_networks.handlers")
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])  # the first optimiser imports for seconds
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            train(config, order)
        ended, status = 0, 0
        while not ended and time.monotonic() < start + order.get("seconds", 300.0):
            ended, status = os.waitpid(child, os.WNOHANG)
            time.sleep(0.002)
        if not ended:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        answer = {"signal": os.WTERMSIG(status)} if os.WIFSIGNALED(status) else {"code": os.WEXITSTATUS(status)}
        print(json.dumps({**answer, "seconds": time.monotonic() - start}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
