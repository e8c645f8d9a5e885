"""Runs in a process of their own, whose peak memory they tell: of a benchmark's form, or of a whole inference.json."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks import ROOT

_BUNDLE_RUN = """
import json, runpy, sys, torch
from benchmarks.machine import peak_memory_of_process
sys.argv = json.loads(sys.argv[1])
try:
    runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)
except SystemExit as end:
    if end.code:
        raise
print(peak_memory_of_process(torch.device("cpu")))
"""


def last_line_of(words: Sequence[str], **environment: str) -> str:
    """The last line that ``python <words>`` prints, in a new process with these variables besides.

    Raises RuntimeError when it fails; the message ends with what it printed.
    """
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env=variables)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[-4:])} failed: {done.stderr[-1000:]}")
    return done.stdout.splitlines()[-1]


def write_volumes(folder: Path, size: Sequence[int], names: Sequence[str]) -> dict[str, str]:
    """Random int16 volumes with an identity affine; returns name -> path."""
    generator = np.random.default_rng(0)
    paths = {}
    for name in names:
        path = folder / f"{name}_{'x'.join(map(str, size))}.nii"
        nib.save(nib.Nifti1Image(generator.integers(0, 1000, tuple(size)).astype(np.int16), np.eye(4)), path)
        paths[name] = str(path)
    return paths


def peak_of_inference(bundle: Path, keys: Mapping[str, object]) -> int:
    """Peak memory in bytes of a process that runs a bundle's inference.json on the CPU (Linux and macOS).

    Raises RuntimeError when the run fails; the message ends with what it printed.
    """
    command = ["monai.bundle", "run", "inferring", "--config_file", str(bundle / "configs" / "inference.json")]
    for key, value in {"bundle_root": bundle, "device": "$torch.device('cpu')", **keys}.items():
        command += [f"--{key}", str(value)]
    return int(last_line_of(["-c", _BUNDLE_RUN, json.dumps(command)], CUDA_VISIBLE_DEVICES=""))
