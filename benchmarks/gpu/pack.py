"""What travels to a machine without a network: ``python -m benchmarks.gpu.pack --brains FOLDER --pairs FOLDER``.

Copies both data sets into a folder of the repository that git ignores, the volumes cut to the brain and rounded to 1024
grey levels, downloads the wheels that a machine with PyTorch lacks, and prints the sizes. With more than ``--limit_mb``
in all, tracked files included, the exit code is 1 and nothing of the data or wheels is left. There, in the repository:

    python -m pip install --no-index --no-deps --target site .gpu/wheels/*.whl
    PYTHONPATH=site python -m benchmarks.gpu --brains .gpu/brains --pairs .gpu/pairs --out FOLDER
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks import ROOT
from shared_networks.data import training_cases

_WHEELS = ("monai==1.6.1", "pytorch-ignite==0.5.5", "nibabel", "fire", "termcolor")
_PLATFORMS = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in (17, 24, 27, 28, 31, 34, 35)))
_LEVELS = 1023


def size_of(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def tracked_bytes() -> int:
    """Bytes of what git tracks."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sum((ROOT / name).stat().st_size for name in names.split("\0") if name and (ROOT / name).is_file())


def cut_brains(source: Path, target: Path, cases: int | None) -> None:
    """Copy the cases of a data set, cut to what is not 0 in both images."""
    sections: dict[str, list[dict[str, str]]] = {}
    for part in ("training", "validation"):
        sections[part] = []
        for item in training_cases(part, dataset_dir=str(source))[: cases if part == "training" else None]:
            paths = dict(zip(("t1", "flair"), item["image"], strict=True)) | {"label": item["label"]}
            volumes = {name: nib.load(path) for name, path in paths.items()}
            inside = np.argwhere(np.logical_and(*(volumes[name].get_fdata() != 0 for name in ("t1", "flair"))))
            where = tuple(slice(low, high + 1) for low, high in zip(inside.min(0), inside.max(0), strict=True))
            folder = target / item["case"]
            folder.mkdir(parents=True)
            for name, volume in volumes.items():
                values, affine = volume.get_fdata()[where], volume.affine.copy()
                affine[:3, 3] += affine[:3, :3] @ [part.start for part in where]
                if name != "label":
                    values = np.ceil(values * (_LEVELS / values.max()))
                kind = np.uint8 if name == "label" else np.int16
                nib.save(nib.Nifti1Image(values.astype(kind), affine), folder / f"{name}.nii.gz")
            entry = {"subject": item.get("subject", item["case"])}
            sections[part].append(entry | {name: f"{item['case']}/{name}.nii.gz" for name in volumes})
    (target / "datalist.json").write_text(json.dumps(sections, indent=1), encoding="utf-8")


def copy_pairs(source: Path, target: Path) -> None:
    """Copy training and validation pairs; the test pairs stay."""
    for path in sorted(source.rglob("*")):
        if path.is_file() and "test" not in path.relative_to(source).parts:
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)


def download_wheels(target: Path, version: str) -> None:
    """Fetch the wheels for Linux on x86-64 through pip."""
    target.mkdir(parents=True, exist_ok=True)
    options = ["--no-deps", "--only-binary=:all:", "--python-version", version, "--implementation", "cp"]
    options += [f"--platform={platform}_x86_64" for platform in _PLATFORMS]
    command = [sys.executable, "-m", "pip", "download", "-q", *options, "-d", str(target), *_WHEELS]
    subprocess.run(command, check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Pack, print the sizes, and refuse what is too large."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.pack")
    parser.add_argument("--brains", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / ".gpu")
    parser.add_argument("--cases", type=int, default=None, help="so many training cases; all by default")
    parser.add_argument("--limit_mb", type=float, default=64.0)
    parser.add_argument("--python", default="3.12", help="version of Python over there")
    parser.add_argument("--no_wheels", action="store_true", help="take no wheels along")
    given = parser.parse_args(arguments)
    shutil.rmtree(given.out, ignore_errors=True)
    cut_brains(given.brains, given.out / "brains", given.cases)
    copy_pairs(given.pairs, given.out / "pairs")
    if not given.no_wheels:
        download_wheels(given.out / "wheels", given.python)
    parts = {"tracked files": tracked_bytes()}
    parts |= {name: size_of(given.out / name) for name in ("brains", "pairs", "wheels")}
    for name, size in parts.items():
        print(f"{name}: {size / 2**20:.1f} MB")
    total = sum(parts.values()) / 2**20
    if total > given.limit_mb:
        shutil.rmtree(given.out)
        print(f"error: {total:.1f} MB in all, {given.limit_mb:g} may travel: give --cases NUMBER", file=sys.stderr)
        return 1
    print(f"{total:.1f} MB in all, below {given.limit_mb:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
