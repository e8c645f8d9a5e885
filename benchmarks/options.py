"""Options that several benchmarks have, and the quick form of those that run configs."""

import argparse
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks import ROOT

DATA = {"BRAINS": "folder with a datalist.json", "PAIRS": "folder with a datalist.json, or with CT, PET, SPECT"}
"""Name of the data in messages -> what ``--dataset_dir`` must be."""


def make_parser(
    name: str, data: str = "", device: str = "", quick: str = "", jobs: bool = False
) -> argparse.ArgumentParser:
    """Parser of ``python -m benchmarks.<name>`` with ``--out`` and what else is asked for.

    ``data`` (of :data:`DATA`) adds ``--dataset_dir``; ``device``, the default, adds ``--device`` and ``--threads`` of
    this process; ``quick`` says what ``--quick`` measures without data; ``jobs`` adds ``--jobs``, ``--threads`` of each
    and ``--work``.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    if data:
        parser.add_argument("--dataset_dir", default="", metavar=data, help=DATA[data])
    if device:
        parser.add_argument("--device", default=device)
        parser.add_argument("--threads", type=int, default=0, help="0 keeps PyTorch's own choice")
    if jobs:
        parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
        parser.add_argument("--threads", type=int, default=0, help="of each run; an equal share of the CPU by default")
        parser.add_argument("--work", type=Path, default=ROOT / "runs" / name)
    if quick:
        parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the words of a command of :func:`make_parser`, and set the threads of this process.

    Without data and without ``--quick`` it ends with one line.
    """
    given = parser.parse_args(arguments)
    if "dataset_dir" in given and not (given.dataset_dir or getattr(given, "quick", False)):
        parser.error(f"give --dataset_dir FOLDER{', or --quick' if 'quick' in given else ''}")
    if "device" in given and given.threads:
        torch.set_num_threads(given.threads)
    return given


def chosen_names(parser: argparse.ArgumentParser, text: str, known: Collection[str], kind: str) -> list[str]:
    """Names of a comma-separated option; one that is not known ends the command with one line."""
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    return names


@contextmanager
def quick_run(given: argparse.Namespace, write_data: Callable[[Path], Path]) -> Iterator[None]:
    """Point a study at made-up data and a work folder that lasts as long as the block, and run it in this process."""
    with tempfile.TemporaryDirectory() as folder:
        given.dataset_dir = str(write_data(Path(folder) / "data"))
        given.work, given.jobs = Path(folder) / "work", 0
        yield
