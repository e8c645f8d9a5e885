"""Build the zip of a bundle that stands alone: its files, the code that its configs name, model card and manifest.

``python -m shared_networks.release BUNDLE_FOLDER [--out dist]``
``python -m shared_networks.release --verify FILE.zip [--unpack FOLDER]``

The first writes ``<out>/<bundle>_v<version>.zip``. The same input gives the same bytes. The second is
:mod:`shared_networks.verify_release`.
"""

import argparse
import hashlib
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import torch
import yaml

import shared_networks
from shared_networks.errors import InputError
from shared_networks.model_card import model_card
from shared_networks.runner.config_keys import strings_of
from shared_networks.utils.atomic import atomic_path
from shared_networks.utils.bundle_network import check_version, load_network, read_metadata
from shared_networks.utils.weights import MANIFEST
from shared_networks.verify_release import unpack_release, verify_release

LARGEST_FILE = 25 * 1024 * 1024
"""Bytes that one file may have; the Model Zoo keeps larger ones elsewhere and lists them in ``large_files.yml``."""

_REQUIRED = (
    "LICENSE",
    "configs/metadata.json",
    "configs/inference.json",
    "configs/logging.conf",
    "models/model.pt",
    "docs/README.md",
    "docs/data_license.txt",
)
_FOLDERS = ("configs", "models", "docs", "sample_data")
_LARGE_FILES = ("large_files.yml", "large_files.yaml", "large_files.json")
_PACKAGE = Path(shared_networks.__file__).resolve().parent
# The first moment that a zip can name; a real one would make every build differ.
_MOMENT = (1980, 1, 1, 0, 0, 0)


def release_files(bundle: Path) -> dict[str, Path]:
    """What goes into the zip of a bundle: name inside the bundle (with ``/``) -> file, sorted by name.

    These are the licence, the list of large files, everything in configs, models, docs and sample_data but checkpoints
    of a training and files that ``large_files.yml`` keeps elsewhere, and the package ``shared_networks``.

    Raises:
        InputError: for a link, and for a file above 25 MB that is not listed.
    """
    elsewhere = _large_files(bundle)
    found = [path for folder in _FOLDERS for path in (bundle / folder).rglob("*")]
    found += [bundle / name for name in ("LICENSE", *_LARGE_FILES)]
    files = {}
    for path in found:
        name = path.relative_to(bundle).as_posix()
        if path.is_symlink():
            raise InputError(f"{path}: a link; a release holds files only: put the file itself there.")
        if path.is_file() and name not in elsewhere and not _is_by_product(PurePosixPath(name)):
            files[name] = path
    too_large = [name for name, path in files.items() if path.stat().st_size > LARGEST_FILE]
    if too_large:
        raise InputError(
            f"{bundle / too_large[0]}: larger than 25 MB; list it with its url and hash in {bundle / _LARGE_FILES[0]}."
        )
    for path in _PACKAGE.rglob("*"):
        name = PurePosixPath("shared_networks", path.relative_to(_PACKAGE).as_posix())
        if path.is_file() and not _is_by_product(name):
            files[str(name)] = path
    return dict(sorted(files.items()))


def check_release(bundle: Path) -> dict[str, Any]:
    """Refuse a bundle whose files, weights, metadata and code do not belong together; returns its metadata.

    Raises InputError, one line that says what does not fit, and to what.
    """
    if not bundle.is_dir():
        raise InputError(f"{bundle}: not found; give the folder of a bundle.")
    elsewhere = _large_files(bundle)
    missing = [name for name in _REQUIRED if not (bundle / name).is_file() and name not in elsewhere]
    if missing:
        raise InputError(f"{bundle}: {', '.join(missing)} missing; a release needs every one of them.")
    metadata = read_metadata(bundle)
    expressions = [text for text in strings_of(metadata) if text.startswith(("$", "@", "%"))]
    if expressions:
        raise InputError(
            f"{bundle}: metadata.json holds {expressions[0][:60]!r}, which MONAI would evaluate; write plain text."
        )
    version = metadata.get("version")
    if version not in metadata.get("changelog", {}):
        raise InputError(f"{bundle}: version {version} is not in the changelog of metadata.json; describe it there.")
    check_version(bundle, metadata)
    if (bundle / "models" / "model.pt").is_file():
        _check_weights(bundle, metadata)
    return metadata


def build_release(bundle: str | Path, out: str | Path = "dist") -> Path:
    """Check a bundle and write its zip, whose one folder at the top has the bundle's name, into the folder ``out``.

    Raises InputError, see :func:`check_release` and :func:`release_files`; nothing is written then.
    """
    bundle, out = Path(bundle).resolve(), Path(out)
    metadata = check_release(bundle)
    contents = {name: path.read_bytes() for name, path in release_files(bundle).items()}
    contents["README.md"] = model_card(metadata).encode()
    lines = [f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in sorted(contents)]
    contents[MANIFEST] = "".join(lines).encode()
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{bundle.name}_v{metadata['version']}.zip"
    with atomic_path(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(str(PurePosixPath(bundle.name, name)), _MOMENT)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, contents[name], compresslevel=9)
    return target


def _is_by_product(name: PurePosixPath) -> bool:
    """Caches, hidden files, and what a training or TensorRT writes beside the weights."""
    hidden = any(part.startswith(".") or part == "__pycache__" for part in name.parts)
    return hidden or name.suffix in (".pyc", ".plan") or "_checkpoint_" in name.name


def _large_files(bundle: Path) -> dict[str, dict[str, Any]]:
    """Files that the bundle keeps elsewhere, by name; one that is here nevertheless must be the one that is meant."""
    lists = [bundle / name for name in _LARGE_FILES if (bundle / name).is_file()]
    if not lists:
        return {}
    try:
        entries = yaml.safe_load(lists[0].read_text(encoding="utf-8"))["large_files"]
        listed = {str(PurePosixPath(entry["path"])): dict(entry) for entry in entries}
    except (yaml.YAMLError, TypeError, KeyError, ValueError) as error:
        raise InputError(f"{lists[0]}: expected a list large_files of entries with path and url ({error}).") from error
    for name, entry in listed.items():
        if not str(entry.get("url", "")).startswith("https://"):
            raise InputError(f"{lists[0]}: {name} has no https url; say where it can be downloaded.")
        kind, expected, path = entry.get("hash_type", "sha256"), entry.get("hash_val", ""), bundle / name
        if kind not in ("md5", "sha1", "sha256", "sha512") or not expected:
            raise InputError(f"{lists[0]}: {name} needs hash_val, and hash_type md5, sha1, sha256 or sha512.")
        if path.is_file() and hashlib.new(kind, path.read_bytes()).hexdigest() != expected:
            raise InputError(f"{path}: its {kind} is not the one in {lists[0].name}; correct the file or the list.")
    return listed


@torch.no_grad()
def _check_weights(bundle: Path, metadata: Mapping[str, Any]) -> None:
    """The weights must fit the network of inference.json, and its output what the metadata says."""
    network = load_network(bundle)
    (source,) = metadata["network_data_format"]["inputs"].values()
    prediction = metadata["network_data_format"]["outputs"]["pred"]
    channels = network(torch.zeros(1, source["num_channels"], *[8] * len(source["spatial_shape"]))).shape[1]
    if channels != prediction["num_channels"]:
        raise InputError(
            f"{bundle}: the network gives {channels} channels, metadata.json says {prediction['num_channels']}: "
            "correct num_channels or the number of classes."
        )


def main(arguments: Sequence[str] | None = None) -> str:
    """Run the command line; returns what to print."""
    parser = argparse.ArgumentParser(prog="python -m shared_networks.release", description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?", help="folder of the bundle")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the zip")
    parser.add_argument("--verify", type=Path, metavar="ZIP", help="check a zip instead of building one")
    parser.add_argument("--unpack", type=Path, metavar="FOLDER", help="with --verify: unpack it below this folder")
    given = parser.parse_args(arguments)
    if (given.bundle is None) == (given.verify is None) or (given.unpack and not given.verify):
        raise InputError("give the folder of a bundle to build its zip, or --verify ZIP (with --unpack FOLDER).")
    if given.bundle:
        return str(build_release(given.bundle, given.out))
    if given.unpack:
        return str(unpack_release(given.verify, given.unpack))
    return f"{given.verify}: {len(verify_release(given.verify))} files as {MANIFEST} lists them"


if __name__ == "__main__":
    try:
        print(main())
    except InputError as problem:
        sys.exit(f"error: {problem}")
