"""From what a user names, two files, two folders, a data list or a folder, to the list of GeSeNet's pairs."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared_networks.data.case_list import (
    SECTIONS,
    LazyCases,
    chosen_sections,
    folders_of,
    number_taken_names,
    one_way,
    path_in_list,
    read_datalist,
    refuse_path_names,
    refuse_taken_names,
    refused_item,
)
from shared_networks.data.public_layouts import bids_cases, named_cases
from shared_networks.errors import CaseStatus, InputError
from shared_networks.io.dicom_files import split_choice
from shared_networks.io.file_names import INPUT_KINDS, file_kind, file_stem, safe_name


def resolve_pairs(
    mri: str = "", other: str = "", datalist: str = "", dataset_dir: str = "", section: str = "", output: bool = True
) -> list[dict[str, Any]]:
    """List the pairs that a user's keys name.

    Exactly one way is used: ``mri`` with ``other``, ``datalist``, or ``dataset_dir``.

    Args:
        mri: file (picture, volume, or folder of one DICOM series) or folder of such files.
        other: the same for CT, PET or SPECT; in two folders a pair has one name up to the file type.
        datalist: JSON file: an object whose ``training``, ``validation`` and ``test`` (or ``testing``) are lists of
            items, or one such list. An item holds ``mri`` and ``other`` (paths relative to the file), and may hold
            ``modality``, ``case`` (the patient) and ``name`` (of the output).
        dataset_dir: folder with a ``datalist.json``, or with folders ``mri`` and ``other`` (or ``ct``, ``pet``,
            ``spect``; in any capitals), either at its top or below folders for modality, for section (``train``,
            ``test``), or for both; or laid out as BIDS or BraTS, see :mod:`shared_networks.data.public_layouts`: T1
            with PET, CT or SPECT, or with FLAIR where there is none.
        section: ``"training"``, ``"validation"`` or ``"test"``; '' takes the test section when there is one, and
            everything otherwise.
        output: whether something is written for each pair; otherwise a pair whose name is taken gets another one, so
            that a training may see an image several times, with one partner or several.

    Returns:
        Items with ``case`` (unique name for the output: name, or modality, patient and file name), ``modality``,
        ``patient`` ('' where unknown), ``image`` ([MRI, other]); and ``refused``, the reason, where a pair is
        known to be unusable (partner missing, name taken).

    Raises:
        InputError: when nothing, or more than one thing, is given, or when what is given holds no pair.
    """
    mri, other, datalist, dataset_dir = one_way(("mri and other", mri, other), datalist, dataset_dir)
    if not (mri or other or datalist or dataset_dir):
        raise InputError("no images given: set mri and other (two files or two folders), datalist, or dataset_dir.")
    if mri or other:
        if not (mri and other):
            raise InputError(f"only {'mri' if mri else 'other'} was given: set both mri and other.")
        pairs = _from_two(Path(mri), Path(other))
    elif datalist:
        pairs = _from_datalist(Path(datalist), section)
    else:
        pairs = _from_dataset_dir(Path(dataset_dir), section)
    if not pairs:
        raise InputError(f"{datalist or dataset_dir or mri}: no pairs found; expected {INPUT_KINDS}.")
    return _named(pairs, output)


class FusionPairs(LazyCases):
    """:func:`resolve_pairs` when the list is first used."""

    resolve = staticmethod(resolve_pairs)


def _from_two(mri: Path, other: Path) -> list[dict[str, Any]]:
    for key, path in (("mri", mri), ("other", other)):
        if not split_choice(path)[0].exists():
            raise InputError(f"{path}: not found; {key} must be a file or a folder.")
    folders = [path.is_dir() and file_kind(path) != "series" for path in (mri, other)]
    if all(folders):
        return pair_folders(mri, other)
    if any(folders):
        raise InputError(f"{mri} and {other}: one is a folder of images, the other one image; give two of a kind.")
    return [{"image": [str(mri), str(other)]}]


def _from_datalist(path: Path, section: str) -> list[dict[str, Any]]:
    sections = read_datalist(path)
    return [_from_item(item, path, number) for number, item in enumerate(_chosen(sections, section, path), 1)]


def _from_item(item: Any, path: Path, number: int) -> dict[str, Any]:
    given = item if isinstance(item, dict) else {}
    reason = given.get(CaseStatus.REFUSED, "")
    if not reason and not all(isinstance(given.get(key), str) and given[key] for key in ("mri", "other")):
        reason = f"{path}: every item must hold the paths mri and other, got {json.dumps(item)[:100]}."
    if reason:
        refused = refused_item(number, reason, item)
        return refused | {"name": refused["subject"]}
    pair = {"image": [path_in_list(path.parent, item[key]) for key in ("mri", "other")]}
    pair |= {
        "modality": str(item.get("modality", "")),
        "patient": str(item.get("case", "")),
        "name": str(item.get("name", "")),
    }
    return refuse_path_names(pair, item, ("modality", "case", "name"))


def _from_dataset_dir(folder: Path, section: str) -> list[dict[str, Any]]:
    if not folder.is_dir():
        raise InputError(f"{folder}: not found; dataset_dir must be a folder.")
    if (folder / "datalist.json").is_file():
        return _from_datalist(folder / "datalist.json", section)
    sections: dict[str, list] = {}
    for mri, other, names in dataset_folders(folder):
        part = next((SECTIONS[name.lower()] for name in names if name.lower() in SECTIONS), "")
        modality = next((name for name in names if name.lower() not in SECTIONS), "")
        modality = modality if other.name.lower() == "other" else other.name.upper()
        pairs = [pair | {"modality": modality} for pair in pair_folders(mri, other)]
        sections.setdefault(part, []).extend(pairs)
    sections = sections or _from_public_layout(folder)
    if not sections:
        raise InputError(
            f"{folder}: neither a datalist.json nor folders mri and other (or ct, pet, spect) in it (or in "
            "MODALITY/, MODALITY/train/, MODALITY/test/), nor a T1 with PET, CT, SPECT or FLAIR as in BIDS or BraTS."
        )
    short = next((name for name in ("train", "val", "test") if SECTIONS[name] == section), section)
    return _chosen(sections, section, folder, f"add MODALITY/{short}/mri and MODALITY/{short}/other")


def _from_public_layout(folder: Path) -> dict[str, list]:
    """T1 with PET, CT or SPECT, or with FLAIR where a data set has none of them; refused where one stands alone."""
    for others in (("pet", "ct", "spect"), ("flair",)):
        pairs: dict[str, list] = {}
        alone: dict[str, tuple[str, dict[str, Any]]] = {}
        for other in others:
            subjects = bids_cases(folder, ("t1", other))
            for section, cases in ({"": subjects} if subjects else named_cases(folder, ("t1", other))).items():
                found = [_as_pair(case, other.upper()) for case in cases if all(case["image"])]
                if found:
                    pairs.setdefault(section, []).extend(found)
                alone |= {"".join(case["image"]): (section, case) for case in cases if not all(case["image"])}
        if pairs:
            # A T1 without CT may be one of another pair.
            used = {path for found in pairs.values() for pair in found for path in pair["image"]}
            for path, (section, case) in alone.items():
                if path not in used:
                    wanted = f"T1 with {' or '.join(other.upper() for other in others)}"
                    reason = f"{path}: no partner beside it; expected {wanted}."
                    lost = {"image": case["image"], "name": case["subject"], CaseStatus.REFUSED: reason}
                    pairs.setdefault(section, []).append(lost)
            return pairs
    return {}


def _as_pair(case: dict[str, Any], modality: str) -> dict[str, Any]:
    pair = {"image": case["image"], "modality": modality, "patient": case["subject"]}
    pair["name"] = f"{case['subject']}_{modality}"
    return pair | ({CaseStatus.REFUSED: case[CaseStatus.REFUSED]} if CaseStatus.REFUSED in case else {})


def _chosen(sections: dict[str, list], section: str, where: Path, remedy: str = "add it to the list") -> list:
    found = chosen_sections(sections, section)
    if found is None:
        raise InputError(f"{where}: no section {section!r}; there is {', '.join(sections) or 'none'}: {remedy}.")
    return [item for items in found.values() for item in items]


def _named(pairs: list[dict[str, Any]], output: bool) -> list[dict[str, Any]]:
    """Give every pair its name; a pair whose name is taken is refused, or renamed where nothing is written."""
    items = []
    for pair in pairs:
        modality, patient = pair.get("modality", ""), pair.get("patient", "")
        stem = file_stem(pair["image"][0] or pair["image"][1])
        parts = [modality, "" if stem.startswith(patient) else patient, stem]
        case = safe_name(pair.get("name") or "_".join(part for part in parts if part))
        item = {"case": case, "modality": modality, "patient": patient, "image": pair["image"]}
        items.append(item | ({CaseStatus.REFUSED: pair[CaseStatus.REFUSED]} if CaseStatus.REFUSED in pair else {}))
    (refuse_taken_names if output else number_taken_names)(items)
    return items


def pair_folders(mri: Path, other: Path) -> list[dict[str, Any]]:
    """Pair images, or folders with one DICOM series each, whose names agree up to the file type (``7.png`` with
    ``7.tif``).

    Returns items with ``image`` in order of name; with ``refused`` where a partner is missing (its path is '') or where
    one folder holds two images of that name. Raises InputError when a folder cannot be listed.
    """
    images, other_images = _images(mri), _images(other)
    pairs = []
    for stem in sorted(images.keys() | other_images.keys()):
        first, second = images.get(stem, []), other_images.get(stem, [])
        pair: dict[str, Any] = {"image": [str(found[0]) if found else "" for found in (first, second)]}
        for found, missing_in in ((first, other), (second, mri)):
            if len(found) > 1:
                pair[CaseStatus.REFUSED] = f"{found[0]} and {found[1].name}: two images of one name; keep one of them."
            elif found and not (first and second):
                pair[CaseStatus.REFUSED] = (
                    f"{found[0]}: no partner in {missing_in}; expected an image named {stem} there."
                )
        pairs.append(pair)
    return pairs


def _images(folder: Path) -> dict[str, list[Path]]:
    """Name without file type -> images of the folder; hidden files and other files are left out."""
    found: dict[str, list[Path]] = {}
    try:
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and file_kind(path):
                found.setdefault(file_stem(path), []).append(path)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror}).") from error
    return found


def dataset_folders(root: Path, depth: int = 2) -> Iterator[tuple[Path, Path, tuple[str, ...]]]:
    """Folders ``mri`` (or ``mr``) beside ``other``, ``ct``, ``pet`` or ``spect`` (in any capitals), ``depth`` levels
    down.

    Yields MRI's folder, the other source's, and the names that lead to both from the root.
    """
    folders = folders_of(root)
    mri = [folder for folder in folders if folder.name.lower() in ("mri", "mr")]
    others = [folder for folder in folders if folder.name.lower() in ("other", "ct", "pet", "spect")]
    for first, second in itertools.product(mri, others):
        yield first, second, ()
    if depth and not (mri and others):
        for folder in folders:
            for first, second, names in dataset_folders(folder, depth - 1):
                yield first, second, (folder.name, *names)
