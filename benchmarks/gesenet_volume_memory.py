"""Peak memory of fusing a NIfTI volume, end to end by the bundle runner, against the number of slices.

``python -m benchmarks.gesenet_volume_memory [--slices 25 100 200] [--size 256] [--batch 8] [--out FOLDER] [--quick]``

Writes ``gesenet_volume_memory.json`` and ``.md``. Every volume is fused in a process of its own, whose peak resident
memory the operating system reports (Linux and macOS).
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.report import write_report

__all__ = ["main", "measure"]

ROOT = Path(__file__).resolve().parent.parent
_CHILD = """
import json, runpy, sys, torch
from benchmarks.machine import peak_memory_of_process
sys.argv = json.loads(sys.argv[1])
try:
    runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
except SystemExit as end:
    code = end.code or 0
else:
    code = 0
print("PEAK", peak_memory_of_process(torch.device("cpu")))
sys.exit(code)
"""


def measure(slices: int, size: int, batch: int, folder: Path) -> int:
    """Fuse a random volume of ``size x size x slices`` voxels and return the process's peak memory in bytes.

    Args:
        slices: number of slices.
        size: voxels along the other two axes.
        batch: slices in the network at a time.
        folder: where the volumes and the result go.

    Raises:
        RuntimeError: when the run fails; the message ends with what it printed.
    """
    generator = np.random.default_rng(0)
    paths = []
    for name in ("mri", "other"):
        path = folder / f"{name}_{slices}.nii"
        voxels = generator.integers(0, 1000, (size, size, slices)).astype(np.int16)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
        paths.append(str(path))
    bundle = ROOT / "gesenet_bundle"
    command = ["monai.bundle", "run", "inferring", "--config_file", str(bundle / "configs" / "inference.json")]
    command += ["--bundle_root", str(bundle), "--mri", paths[0], "--other", paths[1], "--sw_batch_size", str(batch)]
    command += ["--output_dir", str(folder / "out"), "--device", "$torch.device('cpu')"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(command)], capture_output=True, text=True, env=environment
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("PEAK")]
    if done.returncode or not lines:
        raise RuntimeError(f"fusing {slices} slices failed: {done.stderr[-1000:]}")
    return int(lines[0].split()[1])


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gesenet_volume_memory")
    parser.add_argument("--slices", type=int, nargs="+", default=[25, 100, 200])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--quick", action="store_true", help="two tiny volumes")
    given = parser.parse_args(arguments)
    if given.quick:
        given.slices, given.size, given.batch = [4, 8], 32, 2
    with tempfile.TemporaryDirectory() as folder:
        peaks = {n: measure(n, given.size, given.batch, Path(folder)) for n in given.slices}
    fewest, most = min(peaks), max(peaks)
    facts = {
        "hardware": f"{platform.machine()}, {os.cpu_count()} cores",
        "size": given.size,
        "slices_at_a_time": given.batch,
        "peak_bytes": {str(n): peak for n, peak in peaks.items()},
        "bytes_per_further_slice": (peaks[most] - peaks[fewest]) / max(1, most - fewest),
        "bytes_of_one_slice_in_float32": given.size * given.size * 4,
    }
    return write_report("gesenet_volume_memory", given.out, arguments, facts, _table)


def _table(result: dict) -> str:
    lines = ["| slices | peak memory, MiB |", "|---|---|"]
    lines += [f"| {n} | {peak / 2**20:.0f} |" for n, peak in result["peak_bytes"].items()]
    growth = result["bytes_per_further_slice"] / result["bytes_of_one_slice_in_float32"]
    lines += [
        "",
        f"{result['size']} x {result['size']} voxels a slice, {result['slices_at_a_time']} slices at a time.",
        f"Each further slice costs {result['bytes_per_further_slice'] / 2**20:.2f} MiB, {growth:.1f} times its size in "
        "float32: the arrays of the volume, none of the network's memory.",
        f"`{result['command']}` ({result['date']}, {result['hardware']})",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(_table(main()))
