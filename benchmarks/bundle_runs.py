"""Whole runs of a bundle's inference.json on random volumes, each in a process of its own that says its peak memory."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

__all__ = ["ROOT", "peak_of_inference", "write_volumes"]

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


def write_volumes(folder: Path, size: Sequence[int], names: Sequence[str]) -> dict[str, str]:
    """Random int16 volumes with an identity affine; returns name -> path."""
    generator = np.random.default_rng(0)
    paths = {}
    for name in names:
        path = folder / f"{name}_{'x'.join(map(str, size))}.nii"
        nib.save(nib.Nifti1Image(generator.integers(0, 1000, tuple(size)).astype(np.int16), np.eye(4)), path)
        paths[name] = str(path)
    return paths


def peak_of_inference(bundle: str, keys: Mapping[str, object]) -> int:
    """Run a bundle's inference.json on the CPU and return the process's peak memory in bytes (Linux and macOS).

    Args:
        bundle: name of its folder.
        keys: overrides.

    Raises:
        RuntimeError: when the run fails; the message ends with what it printed.
    """
    place = ROOT / bundle
    command = ["monai.bundle", "run", "inferring", "--config_file", str(place / "configs" / "inference.json")]
    for key, value in {"bundle_root": place, "device": "$torch.device('cpu')", **keys}.items():
        command += [f"--{key}", str(value)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps(command)], capture_output=True, text=True, env=environment
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("PEAK")]
    if done.returncode or not lines:
        raise RuntimeError(f"{bundle} failed with {keys}: {done.stderr[-1000:]}")
    return int(lines[0].split()[1])
