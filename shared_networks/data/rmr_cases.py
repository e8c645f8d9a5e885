"""From what a user names, two files, a data list or a folder, to the list of RMR-Fusion's cases."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared_networks.data.case_list import (
    LazyCases,
    chosen_sections,
    number_taken_names,
    one_way,
    path_in_list,
    read_datalist,
    refuse_path_names,
    refuse_taken_names,
    refused_item,
    section_names,
)
from shared_networks.data.public_layouts import bids_cases, named_cases
from shared_networks.data.rmr_folders import csv_cases, folder_cases
from shared_networks.errors import CaseStatus, InputError
from shared_networks.io.file_names import file_stem, safe_name

# Masks that an item of a data list may name beside its label.
MASKS = ("normal_hyperintensity",)


def resolve_cases(
    first: str = "",
    second: str = "",
    datalist: str = "",
    dataset_dir: str = "",
    section: str | Sequence[str] = "",
    modalities: Sequence[str] = ("t1", "flair"),
    allow_missing: bool = False,
    output: bool = True,
) -> list[dict[str, Any]]:
    """List the cases that a user's keys name.

    Exactly one way is used: ``first`` with ``second``, ``datalist``, or ``dataset_dir``.

    Args:
        first: volume of the first modality (T1): NIfTI file or folder of one DICOM series.
        second: volume of the second modality (FLAIR).
        datalist: JSON file: an object whose sections (``training``, ``validation``, ``test``, ``unlabelled_training``)
            are lists of items, or one such list. An item holds the paths of both modalities under their names (or a
            list of them under ``image``), relative to the file, and may hold ``label``, ``normal_hyperintensity`` (a
            mask), ``subject``, and ``person`` where a subject is one of several visits.
        dataset_dir: folder with a ``datalist.json``, with Prostate158's tables, with folders of cases (see
            :mod:`shared_networks.data.rmr_folders`), or laid out as BIDS or BraTS (see
            :mod:`shared_networks.data.public_layouts`).
        section: section or sections to take; '' takes the test section when there is one, and everything otherwise.
        modalities: names of the two modalities.
        allow_missing: take cases that have one of the two modalities only; the path of the other one is ''.
        output: whether something is written for each case; otherwise a case whose name is taken gets another one, so
            that a training may see an image several times.

    Returns:
        Items with ``case`` (unique name for the output), ``subject``, ``section`` ('' for none), ``image`` ([first,
        second]), where known ``label`` (a path, or a map and a mask to write over it); and ``refused``, the reason,
        where a case is known to be unusable (a modality missing, name taken). Nothing given is an empty list.

    Raises:
        InputError: when more than one thing is given, or when what is given holds no case.
    """
    pair = " and ".join(modalities)
    first, second, datalist, dataset_dir = one_way((pair, first, second), datalist, dataset_dir)
    if not (first or second or datalist or dataset_dir):
        return []
    if first or second:
        if not ((first and second) or allow_missing):
            raise InputError(
                f"only {modalities[0] if first else modalities[1]} was given: set both {pair}, or --allow_missing True."
            )
        cases = [{"image": [first, second], "subject": _subject_of([first, second], modalities), "section": ""}]
    elif datalist:
        cases = _chosen(_from_datalist(Path(datalist), modalities, allow_missing), section, datalist)
    else:
        cases = _chosen(_from_folder(Path(dataset_dir), modalities, allow_missing), section, dataset_dir)
    if not cases:
        raise InputError(f"{datalist or dataset_dir}: no cases found; expected volumes of {pair} for each case.")
    items = [{"case": safe_name(case["subject"]), **case} for case in cases]
    # A case whose name is taken is refused, or renamed where nothing is written.
    (refuse_taken_names if output else number_taken_names)(items)
    return items


class ModalityCases(LazyCases):
    """:func:`resolve_cases` when the list is first used."""

    resolve = staticmethod(resolve_cases)


def _subject_of(paths: Sequence[str], modalities: Sequence[str]) -> str:
    """Name of a case by its first file, or by its second one where there is no first."""
    given = 0 if paths[0] else 1
    return _subject(Path(paths[given]), modalities[given])


def _subject(path: Path, modality: str) -> str:
    """Name of a case by one of its files: without the modality, or the folder's where nothing else is left."""
    stem = file_stem(path)
    if stem.lower().endswith(modality.lower()):
        stem = stem[: len(stem) - len(modality)].rstrip("_-. ")
    return stem or path.absolute().parent.name


def _from_datalist(
    path: Path, modalities: Sequence[str], allow_missing: bool = False
) -> dict[str, list[dict[str, Any]]]:
    sections = read_datalist(path)
    return {
        name: [_from_item(item, path, modalities, allow_missing, number) for number, item in enumerate(items, 1)]
        for name, items in sections.items()
    }


def _from_item(item: Any, path: Path, modalities: Sequence[str], allow_missing: bool, number: int) -> dict[str, Any]:
    paths: Any = item if isinstance(item, str) else None
    if isinstance(item, Mapping):
        if CaseStatus.REFUSED in item:
            return refused_item(number, item[CaseStatus.REFUSED], item)
        named = [item.get(name.lower()) for name in modalities]
        paths = item.get("image", named)
        if "image" in item and any(named) and named != paths:
            reason = f"{path}: an item names its images twice, by image and by {' and '.join(modalities)}; keep one."
            return refused_item(number, reason, item)
    if isinstance(paths, str) and paths:
        first, second = modalities
        reason = f"{path}: one image, {paths[:100]}; expected one file for each of {first} and {second}: split it."
        return refused_item(number, reason, item)
    if isinstance(paths, list) and allow_missing and any(paths):
        paths = ["" if name is None else name for name in paths]
    is_pair = isinstance(paths, list) and len(paths) == 2 and all(isinstance(name, str) for name in paths)
    if not is_pair or not (all(paths) or (allow_missing and any(paths))):
        wanted = " and ".join(modalities)
        reason = f"{path}: every item must hold the paths {wanted}, got {json.dumps(item)[:100]}."
        return refused_item(number, reason, item)
    image = [path_in_list(path.parent, name) if name else "" for name in paths]
    subject = item.get("subject") or item.get("case") or _subject_of(image, modalities)
    case: dict[str, Any] = {"image": image, "subject": str(subject)}
    label = item.get("label")
    if label:
        names = [label] if isinstance(label, str) else label
        if not isinstance(names, list) or len(names) > 2 or not all(isinstance(name, str) for name in names):
            reason = f"{path}: label must be a path, or a list of a map and a mask, got {json.dumps(label)[:100]}."
            return case | {CaseStatus.REFUSED: reason}
        labels = [path_in_list(path.parent, name) for name in names]
        case["label"] = labels[0] if isinstance(label, str) else labels
    # A mask of one kind of voxels within a class, for training; what it marks is the config's to say.
    case |= {key: path_in_list(path.parent, item[key]) for key in MASKS if isinstance(item.get(key), str) and item[key]}
    if item.get("person"):
        case["person"] = str(item["person"])
    return refuse_path_names(case, item, ("subject", "case"))


def _from_folder(
    folder: Path, modalities: Sequence[str], allow_missing: bool = False
) -> dict[str, list[dict[str, Any]]]:
    if not folder.is_dir():
        raise InputError(f"{folder}: not found; dataset_dir must be a folder.")
    if (folder / "datalist.json").is_file():
        return _from_datalist(folder / "datalist.json", modalities, allow_missing)
    sections = csv_cases(folder, modalities) or folder_cases(folder, modalities, allow_missing)
    if not sections:
        subjects = bids_cases(folder, modalities, allow_missing)
        sections = {"": subjects} if subjects else named_cases(folder, modalities, allow_missing)
    if not sections:
        first, second = modalities
        raise InputError(
            f"{folder}: no datalist.json, no train.csv, no folder with {first}.nii.gz and {second}.nii.gz (or "
            f"pre/{first}.nii.gz and pre/{second}.nii.gz), no CASE_{first}.nii.gz and CASE_{second}.nii.gz and no BIDS "
            "subjects in it; make one of them."
        )
    return sections


def _chosen(
    sections: Mapping[str, list[dict[str, Any]]], section: str | Sequence[str], where: str
) -> list[dict[str, Any]]:
    """Cases of the sections that were asked for; cases without section ('') belong to every one."""
    found = chosen_sections(sections, section)
    if found is None:
        wanted = " or ".join(section_names(section))
        there = ", ".join(sections) or "none"
        raise InputError(f"{where}: no section {wanted}; there is {there}: correct the section.")
    return [{**case, "section": name} for name, cases in found.items() for case in cases]
