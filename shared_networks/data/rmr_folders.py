"""Cases of two modalities in the layouts that data sets come in: folders of cases, MRBrainS, Prostate158."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared_networks.data.case_list import (
    SECTIONS,
    folders_of,
    path_in_list,
    read_text,
    refuse_path_names,
    refused_item,
)
from shared_networks.errors import CaseStatus, InputError, repeated
from shared_networks.io.file_names import file_kind, file_stem

_LABELS = ("label", "segm", "seg")
_PROSTATE_LABELS = ("t2_anatomy_reader1", "adc_tumor_reader1")
"""Columns of Prostate158: the zones, and the tumour that is written over them."""


def csv_cases(root: Path, modalities: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Cases of ``train.csv``, ``valid.csv`` and ``test.csv``, the layout of Prostate158.

    The tables are in ``root``, or in folders there (``prostate158_train``, ``prostate158_test``); columns are separated
    by commas, semicolons or tabs; paths in a table are relative to its folder. ``modalities`` are the columns of the
    two images, in any mix of capitals. The label is the column ``label``, or Prostate158's zones and tumour.

    Returns section -> items with ``image``, ``subject`` (column ``ID``) and, where given, ``label``; no section when
    there is no table. Raises InputError when a table cannot be read.
    """
    sections: dict[str, list[dict[str, Any]]] = {}
    for folder in (root, *folders_of(root)):
        for name in ("train", "valid", "test"):
            table = folder / f"{name}.csv"
            if table.is_file():
                sections.setdefault(SECTIONS[name], []).extend(_rows(table, modalities))
    return sections


def _rows(table: Path, modalities: Sequence[str]) -> Iterator[dict[str, Any]]:
    try:
        lines = read_text(table).splitlines()
        delimiter = max(",;\t", key=lines[0].count) if lines else ","  # a spreadsheet's depends on the language
        table_rows = csv.DictReader(lines, delimiter=delimiter)
        names = [name.strip().lower() for name in table_rows.fieldnames or () if name.strip()]
        rows = [_in_lower_case(row) for row in table_rows]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{table}: not a readable table ({error}); save it as comma-separated text.") from error
    if doubled := repeated(names):
        raise InputError(f"{table}: two columns are named {doubled[0]}; keep one of them.")
    for number, row in enumerate(rows, 1):
        missing = [name for name in modalities if not row.get(name.lower())]
        if missing:
            reason = f"{table}: row {number} has no {missing[0]}; expected columns {', '.join(modalities)}."
            yield refused_item(number, reason, {"subject": row.get("id") or row.get("subject")})
            continue
        columns = ("label",) if row.get("label") else _PROSTATE_LABELS
        labels = [path_in_list(table.parent, row[name]) for name in columns if row.get(name)]
        item: dict[str, Any] = {"image": [path_in_list(table.parent, row[name.lower()]) for name in modalities]}
        item["subject"] = row.get("id") or row.get("subject") or Path(item["image"][0]).parent.name
        # A tumour without zones to write it over is no label map.
        if labels and row.get(columns[0]):
            item["label"] = labels[0] if len(labels) == 1 else labels
        yield refuse_path_names(item, row, ("id", "subject"))


def _in_lower_case(row: dict[str, Any]) -> dict[str, str]:
    """A row by the names of its columns, both without blanks around; what is beyond the last column is left out."""
    return {name.strip().lower(): (value or "").strip() for name, value in row.items() if name}


def folder_cases(root: Path, modalities: Sequence[str], allow_missing: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Cases that are folders: ``root`` itself, folders in it, or folders in its ``training``, ``validation``, ``test``.

    A case holds ``t1.nii.gz`` (or ``t1w``) and ``flair.nii.gz`` (in any mix of capitals; other volume types and folders
    of one DICOM series too) and may hold ``label.nii.gz``; or it is laid out as in MRBrainS: ``pre/reg_T1.nii.gz`` or
    else ``pre/T1.nii.gz``, ``pre/FLAIR.nii.gz`` and ``segm.nii.gz``. ``allow_missing`` takes cases with one modality as
    they are.

    Returns section ('' for none) -> items with ``image`` ('' for a missing modality), ``subject``, perhaps ``label``;
    and ``refused``, the reason, where one is missing and that is not allowed, or there twice.
    """
    sections: dict[str, list[dict[str, Any]]] = {}
    for section, folder in _candidates(root):
        item = _case(folder, modalities, allow_missing)
        if item:
            sections.setdefault(section, []).append(item)
    return sections


def _candidates(root: Path) -> Iterator[tuple[str, Path]]:
    yield "", root
    for folder in folders_of(root):
        section = SECTIONS.get(folder.name.lower(), "")
        yield "", folder
        if section:
            yield from ((section, case) for case in folders_of(folder))


def _case(folder: Path, modalities: Sequence[str], allow_missing: bool) -> dict[str, Any] | None:
    """The case in a folder, or None when it holds neither modality."""
    images = folder / "pre" if (folder / "pre").is_dir() else folder
    volumes = [_volumes(images, (f"reg_{name}",)) or _volumes(images, (name, f"{name}w")) for name in modalities]
    if not any(volumes):
        return None
    found = [paths[0] if paths else None for paths in volumes]
    item: dict[str, Any] = {"image": [str(path or "") for path in found], "subject": folder.name}
    labels = next(filter(None, (_volumes(folder, (name,)) for name in _LABELS)), [])
    doubled = next((paths for paths in (*volumes, labels) if len(paths) > 1), None)
    if doubled:
        item[CaseStatus.REFUSED] = f"{doubled[0]} and {doubled[1].name}: two images of one kind; keep one of them."
    if not all(found) and not allow_missing:
        item[CaseStatus.REFUSED] = (
            f"{images}: no {modalities[found.index(None)]} in it; expected {' and '.join(modalities)}."
        )
    if labels:
        item["label"] = str(labels[0])
    return item


def _volumes(folder: Path, names: Sequence[str]) -> list[Path]:
    """The volumes with one of these names (without suffix, any mix of capitals)."""
    lower = [name.lower() for name in names]
    named = (path for path in sorted(folder.iterdir()) if file_stem(path).lower() in lower)
    return [path for path in named if file_kind(path) in ("volume", "series")]
