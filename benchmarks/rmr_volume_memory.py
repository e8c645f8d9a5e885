"""Peak memory of RMR-Fusion's inference, end to end by the bundle runner, against the volume's size.

``python -m benchmarks.rmr_volume_memory [--cases 64 96 128 128:3] [--out FOLDER] [--quick]``

A case is the side of a cube of random voxels, and behind a colon ``memory_limit_gb``. Windows of the head do not
overlap, which saves time, not memory. Writes ``rmr_volume_memory.json`` and ``.md``.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import RMR
from benchmarks.bundle_runs import peak_of_inference, write_volumes
from benchmarks.machine import hardware
from benchmarks.options import make_parser
from benchmarks.report import markdown_table, print_report, write_report
from shared_networks.inferers.encode_once import BLOCK_OVERLAP, ENCODER_WINDOW
from shared_networks.inferers.memory_plan import rmr_block_voxels, rmr_peak
from shared_networks.inferers.overlapping_blocks import block_size

_MOST = 4_000_000
"""``encode_max_voxels`` of inference.json."""


def measure(case: str, folder: Path) -> dict:
    """Size, pieces, peak and estimate of one case; the volumes and the result go into the folder."""
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
        "peak_bytes": peak_of_inference(RMR, keys),
        "estimated_gib": rmr_peak(size, block, ENCODER_WINDOW),
    }


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_volume_memory", quick="one tiny volume")
    parser.add_argument("--cases", nargs="+", default=["64", "96", "128", "128:3"])
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        cases = [measure(case, Path(folder)) for case in (["12"] if given.quick else given.cases)]
    facts = {"hardware": hardware("cpu"), "cases": cases}
    return write_report("rmr_volume_memory", given.out, arguments, facts, table)


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    rows = []
    for case in result["cases"]:
        size, block = (" x ".join(map(str, case[key])) for key in ("size", "block"))
        peak, estimate = f"{case['peak_bytes'] / 2**30:.2f}", f"{case['estimated_gib']:.2f}"
        rows.append([size, case["memory_limit_gb"] or "", "one piece" if size == block else block, peak, estimate])
    return markdown_table(["volume", "memory_limit_gb", "encoded in", "peak memory, GiB", "estimate"], rows)


if __name__ == "__main__":
    print_report(main, table)
