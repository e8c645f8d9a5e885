"""Peak memory of RMR-Fusion's inference, end to end by the bundle runner, against the volume's size.

``python -m benchmarks.rmr_volume_memory [--cases 64 96 128 128:3] [--out FOLDER] [--quick]``

A case is the side of a cube of random voxels, and behind a colon ``memory_limit_gb``. Windows of the head do not
overlap, which saves time, not memory. Writes ``rmr_volume_memory.json`` and ``.md``.
"""

import argparse
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bundle_runs import ROOT, peak_of_inference, write_volumes
from benchmarks.report import write_report
from shared_networks.inferers.encode_once import BLOCK_OVERLAP, ENCODER_WINDOW
from shared_networks.inferers.memory_plan import rmr_block_voxels, rmr_peak
from shared_networks.inferers.overlapping_blocks import block_size

__all__ = ["main"]

_MOST = 4_000_000
"""``encode_max_voxels`` of inference.json."""


def _measure(case: str, folder: Path) -> dict:
    side, _, limit = case.partition(":")
    size = (int(side),) * 3
    keys = {**write_volumes(folder, size, ("t1", "flair")), "output_dir": folder / "out", "overlap": 0.0}
    keys |= {"skip_done": False, "memory_limit_gb": limit or "None"}
    most = rmr_block_voxels(size, _MOST, float(limit), ENCODER_WINDOW, BLOCK_OVERLAP) if limit else _MOST
    block = block_size(size, most, ENCODER_WINDOW, BLOCK_OVERLAP)
    return {
        "size": list(size),
        "memory_limit_gb": float(limit) if limit else None,
        "block": list(block),
        "peak_bytes": peak_of_inference("rmr_fusion_bundle", keys),
        "estimated_gib": rmr_peak(size, block, ENCODER_WINDOW),
    }


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rmr_volume_memory")
    parser.add_argument("--cases", nargs="+", default=["64", "96", "128", "128:3"])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true", help="one tiny volume")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        cases = [_measure(case, Path(folder)) for case in (["12"] if given.quick else given.cases)]
    return write_report(
        "rmr_volume_memory", given.out, arguments, {"machine": platform.machine(), "cases": cases}, _table
    )


def _table(result: dict) -> str:
    lines = ["| volume | memory_limit_gb | encoded in | peak memory, GiB | estimate |", "|---|---|---|---|---|"]
    for case in result["cases"]:
        size, block = (" x ".join(map(str, case[key])) for key in ("size", "block"))
        limit, pieces = case["memory_limit_gb"] or "", "one piece" if size == block else block
        peak = case["peak_bytes"] / 2**30
        lines.append(f"| {size} | {limit} | {pieces} | {peak:.2f} | {case['estimated_gib']:.2f} |")
    lines += ["", f"`{result['command']}` ({result['date']}, {result['machine']})"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(_table(main()))
