"""``python -m shared_networks fuse``: the bundles' inference by a short command."""

import argparse
import json
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from shared_networks.command_parser import CommandParser
from shared_networks.errors import InputError

_USAGE = """python -m shared_networks fuse --t1 PATH --flair PATH [--KEY VALUE ...]
       python -m shared_networks fuse --mri PATH --other PATH [--KEY VALUE ...]
       python -m shared_networks fuse --dataset_dir FOLDER | --datalist FILE"""
_BUNDLES = {"rmr": "rmr_fusion_bundle", "gesenet": "gesenet_bundle"}


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m shared_networks fuse",
        usage=_USAGE,
        description="Fuse images: T1 and FLAIR by RMR-Fusion, MRI and CT, PET or SPECT by GeSeNet.",
        epilog="Any other --KEY VALUE is a key of the bundle's inference.json, as --align True. It is the same as "
        "python -m monai.bundle run inferring --config_file BUNDLE/configs/inference.json --bundle_root BUNDLE ...",
        allow_abbrev=False,
    )
    parser.add_argument("command", choices=["fuse"], help=argparse.SUPPRESS)
    parser.add_argument("--t1", default="", metavar="PATH", help="T1 volume, or folder of a DICOM series")
    parser.add_argument("--flair", default="", metavar="PATH", help="T2-FLAIR volume, registered to the T1")
    parser.add_argument("--mri", default="", metavar="PATH", help="MRI picture or volume, or a folder of them")
    parser.add_argument("--other", default="", metavar="PATH", help="CT, PET or SPECT of the same names")
    parser.add_argument("--dataset_dir", default="", metavar="FOLDER", help="folder of cases, BIDS data set")
    parser.add_argument("--datalist", default="", metavar="FILE", help="JSON list of cases")
    parser.add_argument("--gesenet", action="store_true", help="a folder that both can read is for GeSeNet")
    parser.add_argument("--output_dir", default="fused", metavar="FOLDER", help="where the results go (default: fused)")
    parser.add_argument(
        "--bundle_root", default="", metavar="FOLDER", help="bundle (default: the one beside the package)"
    )
    return parser


def fuse_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``python -m monai.bundle`` that those of ``python -m shared_networks`` stand for.

    Raises InputError for a command line that means nothing, and when the bundle is not there.
    """
    given, others = _parser().parse_known_args(arguments)
    sources = {key: getattr(given, key) for key in ("t1", "flair", "mri", "other", "dataset_dir", "datalist")}
    sources = {key: value for key, value in sources.items() if value}
    if not sources:
        raise InputError("nothing to fuse: give --t1 and --flair, --mri and --other, --dataset_dir or --datalist.")
    kind = "gesenet" if _is_gesenet(given) else "rmr"
    return run_bundle(kind, sources | {"output_dir": given.output_dir}, given.bundle_root, others)


def run_bundle(kind: str, keys: dict[str, str], bundle_root: str = "", others: Sequence[str] = ()) -> list[str]:
    """The arguments of the runner for the inference of a bundle, ``"rmr"`` or ``"gesenet"``, with keys of its config.

    ``bundle_root`` is its folder; '' for the one beside the package, or the one that holds it (a released zip).
    ``others`` follow as they are. Raises InputError when the bundle is not there, or the first of ``others`` is no key.
    """
    if others and not others[0].startswith("--"):
        raise InputError(f"unexpected {others[0]!r}: expected --KEY VALUE.")
    root = Path(bundle_root) if bundle_root else _find_bundle(_BUNDLES[kind])
    config = root / "configs" / "inference.json"
    if not config.is_file():
        raise InputError(f"{config}: not found; give the folder of {_BUNDLES[kind]} as --bundle_root.")
    # A config file that was given stands instead of the bundle's, as an overlay names both.
    is_given = any(word.partition("=")[0] == "--config_file" for word in others)
    own = {} if is_given else {"config_file": str(config)}
    words = ["run", "inferring"]
    for key, value in (own | {"bundle_root": str(root)} | keys).items():
        words += [f"--{key}", value]
    return [*words, *others]


def main(arguments: Sequence[str]) -> None:
    """Run MONAI's stock runner in this process: what it prints and its exit code are those of the long command."""
    from shared_networks.runner.one_line_errors import shorten_errors  # MONAI, which a wrong command line need not load

    # What fails before a bundle's own code is reached, as a key %FILE of no such file, is an error of one line.
    shorten_errors()
    # Written so that the runner takes itself for the program: it shortens errors and reads paths as they were typed.
    sys.argv = ["monai.bundle", *arguments]
    runpy.run_module("monai.bundle", run_name="__main__", alter_sys=True)


def _is_gesenet(given: argparse.Namespace) -> bool:
    if given.gesenet or given.mri or given.other or given.t1 or given.flair:
        return bool(given.gesenet or given.mri or given.other)
    from shared_networks.check import holds_pairs  # reads data lists, which a pair of files does not need

    return holds_pairs(given.datalist, given.dataset_dir)


def _find_bundle(name: str) -> Path:
    beside = Path(__file__).resolve().parents[1]
    try:
        metadata = json.loads((beside / "configs" / "metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        metadata = {}
    is_around = name.split("_")[0] in str(metadata.get("name", "")).lower().replace("-", "_")
    return beside if is_around else beside / name


if __name__ == "__main__":
    try:
        words = fuse_arguments(sys.argv[1:])
    except InputError as problem:
        sys.exit(f"error: {problem}")
    main(words)
