"""What the commands of studies and of timings have in common: their options, and a study's quick form."""

import argparse
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from benchmarks.bundle_jobs import ROOT
from shared_networks.runner.one_line_errors import shorten_errors

__all__ = [
    "BRAINS",
    "PAIRS",
    "chosen_names",
    "parse_study",
    "parse_timing",
    "print_study",
    "quick_run",
    "study_parser",
    "timing_parser",
]

BRAINS = "BRAINS: folder with a datalist.json"
PAIRS = "PAIRS: folder with a datalist.json, or with CT, PET, SPECT"


def study_parser(name: str, data: str, work: str = "") -> argparse.ArgumentParser:
    """Parser with the options that every study has; the study adds its own.

    Args:
        name: module of the study below ``benchmarks``.
        data: what ``--dataset_dir`` is called in messages, and what it holds, as in :data:`BRAINS`.
        work: default work folder below ``runs``; ``name`` when empty.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--dataset_dir", default="", metavar=data.partition(":")[0], help=data.partition(": ")[2])
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument("--threads", type=int, help="of each run; an equal share of the CPU by default")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / (work or name))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true", help="toy budget on made-up data")
    return parser


def parse_study(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the words of a command; without data and without ``--quick`` it ends with one line."""
    given = parser.parse_args(arguments)
    if not (given.quick or given.dataset_dir):
        data = next(action.metavar for action in parser._actions if action.dest == "dataset_dir")
        parser.error(f"give --dataset_dir {data}, or --quick")
    return given


def timing_parser(name: str, quick: str, device: str = "cpu") -> argparse.ArgumentParser:
    """Parser with the options that every timing of a network has.

    Args:
        name: module below ``benchmarks``.
        quick: what ``--quick`` measures.
        device: where the network runs by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--device", default=device)
    parser.add_argument("--threads", type=int, default=0, help="0 keeps PyTorch's own choice")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def parse_timing(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the words of a command of :func:`timing_parser`, and set the threads of this process."""
    given = parser.parse_args(arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    return given


def chosen_names(parser: argparse.ArgumentParser, text: str, known: Collection[str], kind: str) -> list[str]:
    """Names of a comma-separated option; one that is not known ends the command with one line."""
    names = text.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"no {kind} {', '.join(unknown)}; there are {', '.join(known)}")
    return names


def print_study(main: Callable[[], dict], table: Callable[[dict], str]) -> None:
    """Run a study as a command and print its table; bad input ends it with one line."""
    shorten_errors()
    print(table(main()))


@contextmanager
def quick_run(given: argparse.Namespace, write_data: Callable[[Path], Path]) -> Iterator[None]:
    """Point a study at made-up data and a work folder that lasts as long as the block, and run it in this process."""
    with tempfile.TemporaryDirectory() as folder:
        given.dataset_dir = str(write_data(Path(folder) / "data"))
        given.work, given.jobs = Path(folder) / "work", 0
        yield
