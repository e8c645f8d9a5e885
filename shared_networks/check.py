"""Check images as the bundles would, without fusing them: one line a case, exit code 2 when one would be refused.

``python -m shared_networks.check --t1 FILE --flair FILE``
``python -m shared_networks.check --mri FILE_OR_FOLDER --other FILE_OR_FOLDER``
``python -m shared_networks.check --datalist FILE`` or ``--dataset_dir FOLDER``
"""

import argparse
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from monai.transforms import Compose

from shared_networks.clinical import PreparePair
from shared_networks.command_parser import CommandParser
from shared_networks.data import CaseLog, FusionDataset, resolve_cases, resolve_pairs
from shared_networks.data.case_list import read_datalist
from shared_networks.data.gesenet_cases import dataset_folders
from shared_networks.data.rmr_cases import MASKS
from shared_networks.errors import CaseStatus, InputError
from shared_networks.transforms import AlignPicturesd, CheckLabelsd, DenoisePicturesd, LoadFusionPaird, LoadModalitiesd
from shared_networks.utils.atomic import atomic_text

_MID_GREY = 0.45  # as in GeSeNet's inference.json
_NOT_LABELLED, _WHITE_MATTER = 255, 3  # as in RMR-Fusion's train.json
_SWITCHES = {
    "resample": "let grids differ",
    "align": "register the two first",
    "bias_correction": "correct the bias field first",
    "dicom_output": "refuse what no DICOM output can be made of",
    "allow_missing": "for RMR-Fusion: one modality is enough",
}
"""Keys that mean here what they mean for inference; True where nothing follows."""


def check_cases(cases: Sequence[dict[str, Any]], loader: Any, log: CaseLog) -> Iterator[dict[str, str]]:
    """Load every case as a bundle would; a bad one does not end the rest.

    Args:
        cases: items with ``case`` and what the loader needs, or ``refused``.
        loader: transform that raises InputError for what it refuses.
        log: where the entries go too.

    Yields:
        An entry of the log for each case: ``case``, ``status`` (``"ok"``, ``"warned"`` or ``"refused"``), ``reason``.
    """
    dataset = FusionDataset(cases, loader)
    for number in range(len(cases)):
        log.add(dataset[number])
        yield log.entries[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 0, or 2 when a case was refused.

    Raises:
        InputError: when nothing can be checked.
    """
    given = _parser().parse_args(arguments)
    cases, loader = _what_to_check(given)
    log = CaseLog()
    log.logger = logging.getLogger("shared_networks.check")  # its own lines are printed below
    log.logger.setLevel(logging.CRITICAL)
    for entry in check_cases(cases, loader, log):
        print(f"{entry['case']} {entry['status']}{': ' if entry['reason'] else ''}{entry['reason']}", flush=True)
    counts = {status: log.count(status) for status in (CaseStatus.OK, CaseStatus.WARNED, CaseStatus.REFUSED)}
    print(", ".join(f"{count} {status}" for status, count in counts.items()))
    if given.json:
        try:
            report = {"counts": counts, "cases": log.entries}
            atomic_text(given.json, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        except OSError as error:
            raise InputError(f"{given.json}: cannot be written ({error.strerror}); give another file.") from error
    return log.exit_code()


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="python -m shared_networks.check", description=__doc__.splitlines()[0])
    for name in ("t1", "flair", "mri", "other", "datalist", "dataset_dir"):
        parser.add_argument(f"--{name}", default="", help="as for the bundles' inference.json")
    parser.add_argument(
        *("--datalist_section", "--section"),
        default="",
        dest="section",
        help="section of the data list; the test section where there is one",
    )
    parser.add_argument("--modalities", nargs=2, metavar="NAME", help="for RMR-Fusion: other names than t1 and flair")
    parser.add_argument("--label_map", default="", help="for RMR-Fusion: refuse labels that this map does not know")
    parser.add_argument("--classes", type=int, help="for RMR-Fusion: labels are 0 to this less one (t1 and flair: 5)")
    parser.add_argument(
        "--ignore_label",
        type=_label_or_none,
        default=_NOT_LABELLED,
        help="for RMR-Fusion: a label that means not labelled, or None (255, as in a training)",
    )
    parser.add_argument("--gesenet", action="store_true", help="a folder that both bundles can read is GeSeNet's")
    for name, meaning in _SWITCHES.items():
        parser.add_argument(f"--{name}", nargs="?", const=True, default=False, type=_switch, help=meaning)
    parser.add_argument("--brain_mask", default="", help="for RMR-Fusion: as for inference")
    parser.add_argument("--ct_window", default="auto", help="for GeSeNet: auto, dicom, off, or CENTRE,WIDTH")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there too")
    return parser


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be True or False, got {text!r}")
    return text.lower() == "true"


def _label_or_none(text: str) -> int | None:
    return None if text.lower() == "none" else int(text)


def _what_to_check(given: argparse.Namespace) -> tuple[list[dict[str, Any]], Any]:
    """The cases of RMR-Fusion or of GeSeNet, and the loader of the one that they are for."""
    modalities = tuple(given.modalities or ("t1", "flair"))
    if (
        given.gesenet
        or given.mri
        or given.other
        or not (given.t1 or given.flair or given.modalities or not holds_pairs(given.datalist, given.dataset_dir))
    ):
        cases = resolve_pairs(given.mri, given.other, given.datalist, given.dataset_dir, given.section)
        # What inference.json does before the network, because each step says what it changed.
        load = LoadFusionPaird(
            resample=given.resample,
            ct_window=given.ct_window,
            prepare=PreparePair(given.align, given.bias_correction, False, dicom_output=given.dicom_output),
            mid_grey=_MID_GREY,
        )
        return cases, Compose([load, DenoisePicturesd(), AlignPicturesd()])
    sources = (given.t1, given.flair, given.datalist, given.dataset_dir, given.section, modalities)
    cases = resolve_cases(*sources, allow_missing=given.allow_missing)
    if not cases:
        raise InputError("nothing to check: give --t1 and --flair, --mri and --other, --datalist or --dataset_dir.")
    loader = LoadModalitiesd(
        modalities=modalities,
        # The mask beside a label is looked at; what it marks stays the class that it is.
        auxiliary_key=MASKS[0],
        auxiliary_of=_WHITE_MATTER,
        auxiliary_value=_WHITE_MATTER,
        resample=given.resample,
        prepare=PreparePair(
            given.align, given.bias_correction, brain_mask=given.brain_mask, dicom_output=given.dicom_output
        ),
        brain_checks=modalities == ("t1", "flair"),
        allow_missing=given.allow_missing,
    )
    allowed = _allowed_labels(given, modalities)
    if allowed:
        return cases, Compose([loader, CheckLabelsd("label", allowed, allow_missing_keys=True)])
    return cases, loader


def _allowed_labels(given: argparse.Namespace, modalities: Sequence[str]) -> str | list[int]:
    """The label map, or the classes; nothing where they are not known."""
    if given.label_map:
        return given.label_map
    classes = given.classes or (5 if modalities == ("t1", "flair") else 0)
    ignored = [] if given.ignore_label is None else [given.ignore_label]
    return [*range(classes), *ignored] if classes else []


def holds_pairs(datalist: str, dataset_dir: str) -> bool:
    """Whether a data list, or the folder of one, is GeSeNet's: its items hold mri and other."""
    folder = Path(dataset_dir)
    listed = Path(datalist) if datalist else folder / "datalist.json"
    if datalist or (dataset_dir and listed.is_file()):
        items = [item for items in read_datalist(listed).values() for item in items]
        return any(isinstance(item, dict) and "mri" in item for item in items)
    return bool(dataset_dir) and folder.is_dir() and any(True for _ in dataset_folders(folder))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as problem:
        sys.exit(f"error: {problem}")
