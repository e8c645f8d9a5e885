"""Peak memory of fusing a NIfTI volume, end to end by the bundle runner, against the number of slices.

``python -m benchmarks.gesenet_volume_memory [--slices 25 100 200] [--size 256] [--batch 8] [--out FOLDER] [--quick]``

Writes ``gesenet_volume_memory.json`` and ``.md``. Every volume is fused in a process of its own, whose peak resident
memory the operating system reports (Linux and macOS).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import GESENET
from benchmarks.bundle_runs import peak_of_inference, write_volumes
from benchmarks.machine import hardware
from benchmarks.options import make_parser
from benchmarks.report import markdown_table, print_report, write_report


def measure(slices: int, size: int, batch: int, folder: Path) -> int:
    """Peak memory in bytes of a process that fuses a random ``size x size x slices``, ``batch`` slices at a time.

    Volumes and result go to ``folder``. Raises RuntimeError when the run fails; the message ends with what it printed.
    """
    keys = write_volumes(folder, (size, size, slices), ("mri", "other"))
    keys |= {"sw_batch_size": batch, "output_dir": folder / "out", "skip_done": False}
    return peak_of_inference(GESENET, keys)


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("gesenet_volume_memory", quick="two tiny volumes")
    parser.add_argument("--slices", type=int, nargs="+", default=[25, 100, 200])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args(arguments)
    if given.quick:
        given.slices, given.size, given.batch = [4, 8], 32, 2
    with tempfile.TemporaryDirectory() as folder:
        peaks = {n: measure(n, given.size, given.batch, Path(folder)) for n in given.slices}
    fewest, most = min(peaks), max(peaks)
    facts = {
        "hardware": hardware("cpu"),
        "size": given.size,
        "slices_at_a_time": given.batch,
        "peak_bytes": {str(n): peak for n, peak in peaks.items()},
        "bytes_per_further_slice": (peaks[most] - peaks[fewest]) / max(1, most - fewest),
        "bytes_of_one_slice_in_float32": given.size * given.size * 4,
    }
    return write_report("gesenet_volume_memory", given.out, arguments, facts, table)


def table(result: dict) -> str:
    """Markdown of what :func:`main` returns."""
    rows = [[n, f"{peak / 2**20:.0f}"] for n, peak in result["peak_bytes"].items()]
    growth = result["bytes_per_further_slice"] / result["bytes_of_one_slice_in_float32"]
    return (
        f"{markdown_table(['slices', 'peak memory, MiB'], rows)}\n\n{result['size']} x {result['size']} voxels a "
        f"slice, {result['slices_at_a_time']} slices at a time. Each further slice costs "
        f"{result['bytes_per_further_slice'] / 2**20:.2f} MiB, {growth:.1f} times its size in float32: the arrays of "
        "the volume, none of the network's memory."
    )


if __name__ == "__main__":
    print_report(main, table)
