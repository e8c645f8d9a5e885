"""A BIDS data set in, BIDS derivatives out: ``python -m shared_networks.bids_app BIDS_DIR OUTPUT_DIR participant``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from shared_networks.__main__ import main, run_bundle
from shared_networks.command_parser import CommandParser
from shared_networks.data import resolve_cases
from shared_networks.errors import InputError
from shared_networks.utils.atomic import atomic_path

_USAGE = """python -m shared_networks.bids_app bids_dir output_dir participant
           [--participant_label LABEL ...] [--KEY VALUE ...]"""


def app_arguments(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``python -m monai.bundle`` for a command line of a BIDS app.

    The derivatives go into the output folder, everything else (report, table, page) into ``reports`` inside. With
    labels, the cases are listed in ``reports/participants.json``. Raises InputError for a folder without subjects, and
    for a label that no subject has.
    """
    parser = CommandParser(
        prog="python -m shared_networks.bids_app",
        usage=_USAGE,
        description="Fuse and segment T1 and FLAIR of a BIDS data set; the results are BIDS derivatives.",
        epilog="Any other --KEY VALUE is a key of RMR-Fusion's inference.json, as --lesion_probability True.",
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", help="the data set")
    parser.add_argument("output_dir", help="where the derivatives go")
    parser.add_argument("analysis_level", choices=["participant"])
    parser.add_argument("--participant_label", nargs="+", default=[], metavar="LABEL", help="with or without sub-")
    parser.add_argument(
        "--bundle_root", default="", metavar="FOLDER", help="bundle (default: the one beside the package)"
    )
    given, others = parser.parse_known_args(arguments)
    reports = Path(given.output_dir) / "reports"
    keys = {"dataset_dir": given.bids_dir, "output_dir": str(reports), "bids_output_dir": given.output_dir}
    if given.participant_label:
        del keys["dataset_dir"]
        keys |= {"datalist": str(_write_list(given.bids_dir, given.participant_label, reports))}
        keys |= {"bids_source_dir": given.bids_dir}
    return run_bundle("rmr", keys, given.bundle_root, others)


def _write_list(bids_dir: str, labels: Sequence[str], folder: Path) -> Path:
    """A data list of the subjects with these labels."""
    wanted = [f"sub-{label.removeprefix('sub-')}" for label in labels]
    cases = resolve_cases(dataset_dir=bids_dir)
    subjects = {case["subject"].split("_")[0] for case in cases}
    lost = [name for name in wanted if name not in subjects]
    if lost:
        raise InputError(f"{bids_dir}: no {', '.join(lost)} there; correct --participant_label.")
    items = []
    for case in cases:
        if case["subject"].split("_")[0] in wanted:
            images = zip(("t1", "flair"), case["image"], strict=True)
            there = {name: str(Path(path).absolute()) for name, path in images if path}
            items.append({"subject": case["subject"], **there})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "participants.json"
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(items, indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    try:
        words = app_arguments(sys.argv[1:])
    except InputError as problem:
        sys.exit(f"error: {problem}")
    main(words)
