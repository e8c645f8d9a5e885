"""Cases in the layouts of public data sets: BIDS, and files that are named by case and modality, as in BraTS."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from shared_networks.data.case_list import SECTIONS, folders_of, members_of
from shared_networks.errors import CaseStatus
from shared_networks.io.file_names import file_kind, file_stem

_BIDS_SUFFIXES = {"t1": "T1w", "t2": "T2w", "pd": "PDw", "flair": "FLAIR"}
_BIDS_FOLDERS = ("anat", "pet", "ct")
_ENDINGS = {"t1": ("t1", "t1w", "t1n"), "t2": ("t2", "t2w"), "flair": ("flair", "t2f"), "t1ce": ("t1ce", "t1c")}
"""What names end with, before and since BraTS 2023."""
_NO_MAGNITUDE = re.compile(r"_part-(?:phase|real|imag)_")
_DEPTH = 3


def bids_cases(root: Path, modalities: Sequence[str], allow_missing: bool = False) -> list[dict[str, Any]]:
    """Subjects of a data set in the Brain Imaging Data Structure: ``sub-*/[ses-*/]anat/*_T1w.nii.gz``.

    Each session is a case. Where a modality has several images, those of both modalities are paired by their entities
    (``run-1`` with ``run-1``), or the case is refused; images with a contrast agent (``ce-``) stand back behind those
    without; phase, real and imaginary parts are passed over, and so are ``derivatives``, ``sourcedata`` and the like.

    Args:
        root: folder of the data set, the one above its ``rawdata``, or that of one subject.
        modalities: names of the two; ``t1``, ``t2``, ``pd`` and ``flair`` have a suffix in the standard, others are
            taken as suffixes, in any mix of capitals.
        allow_missing: take cases with one modality as they are.

    Returns:
        Items with ``image`` ('' for a missing modality) and ``subject`` (``sub-01``, ``sub-01_ses-1_run-1``); and
        ``refused``, the reason, where one is missing and that is not allowed, or where there are several.
    """
    subjects = folders_of(root, "sub-") or folders_of(root / "rawdata", "sub-")
    subjects = [root] if root.name.startswith("sub-") else subjects
    cases: list[dict[str, Any]] = []
    for subject in subjects:
        for session in (subject, *folders_of(subject, "ses-")):
            name = "_".join(dict.fromkeys((subject.name, session.name)))
            files = [path for folder in _BIDS_FOLDERS for path in _volumes(session / folder)]
            cases += _session_cases(session, name, files, modalities, allow_missing)
    return cases


def _session_cases(
    session: Path, name: str, files: Sequence[Path], modalities: Sequence[str], allow_missing: bool
) -> Iterator[dict[str, Any]]:
    """Cases of one session: one, or one for each run."""
    found = []
    for modality in modalities:
        suffix = _BIDS_SUFFIXES.get(modality.lower(), modality).lower()
        images = {path: file_stem(path) for path in files if file_stem(path).lower().endswith(f"_{suffix}")}
        images = {path: stem for path, stem in images.items() if not _NO_MAGNITUDE.search(stem)}
        plain = [path for path, stem in images.items() if "_ce-" not in stem]
        found.append({path: _entities(images[path]) for path in plain or images})
    first, second = found
    if not (first or second):
        return
    if len(first) <= 1 and len(second) <= 1:
        yield _case(name, [next(iter(images), None) for images in found], session, modalities, allow_missing)
        return
    by_entities = [{entities: path for path, entities in images.items()} for images in found]
    if by_entities[0].keys() == by_entities[1].keys() and len(by_entities[0]) == len(first) == len(second):
        for entities, path in by_entities[0].items():
            images = [path, by_entities[1][entities]]
            yield _case("_".join((name, *entities)), images, session, modalities, allow_missing)
        return
    counts = " and ".join(f"{len(images)} of {name}" for images, name in zip(found, modalities, strict=True))
    reason = (
        f"{session}: {counts}, and nothing says which belong together; keep one of each, or name them in a data list."
    )
    yield {"image": [str(next(iter(images), "")) for images in found], "subject": name, CaseStatus.REFUSED: reason}


def _entities(stem: str) -> tuple[str, ...]:
    """``run-1`` and the like: parts of a name but subject, session and suffix."""
    return tuple(part for part in stem.split("_")[:-1] if not part.startswith(("sub-", "ses-")))


def named_cases(root: Path, modalities: Sequence[str], allow_missing: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Cases whose files are named ``<case>_t1.nii.gz`` and ``<case>_flair.nii.gz``, or ``<case>-t1n``, ``<case>-t2f``.

    They may lie in one folder, or in folders of cases, of sections (``training``), of grades, at most three levels
    down. A ``<case>_label`` beside them is the label; BraTS's ``seg`` is none: its values are those of a tumour.
    Capitals may be any. ``allow_missing`` takes cases with one modality as they are.

    Returns section ('' for none) -> items, as of :func:`bids_cases`, with ``label`` where there is one.
    """
    sections: dict[str, list[dict[str, Any]]] = {}
    for section, folder in _tree(root):
        found: dict[str, dict[str, list[Path]]] = {}
        for path in _volumes(folder):
            for kind in (*modalities, "label"):
                endings = "|".join(map(re.escape, _ENDINGS.get(kind.lower(), (kind,))))
                match = re.fullmatch(rf"(.+)[_-](?:{endings})", file_stem(path), re.IGNORECASE)
                if match:
                    found.setdefault(match[1], {}).setdefault(kind, []).append(path)
        for name, kinds in found.items():
            if any(modality in kinds for modality in modalities):
                case = _named_case(name, kinds, folder, modalities, allow_missing)
                sections.setdefault(section, []).append(case)
    return sections


def _named_case(
    name: str, kinds: dict[str, list[Path]], folder: Path, modalities: Sequence[str], allow_missing: bool
) -> dict[str, Any]:
    images = [kinds.get(modality, [None])[0] for modality in modalities]
    case = _case(name, images, folder, modalities, allow_missing)
    doubled = next((paths for paths in kinds.values() if len(paths) > 1), None)
    if doubled:
        case[CaseStatus.REFUSED] = f"{doubled[0]} and {doubled[1].name}: two images of one kind; keep one of them."
    if "label" in kinds:
        case["label"] = str(kinds["label"][0])
    return case


def _case(
    name: str, images: Sequence[Path | None], folder: Path, modalities: Sequence[str], allow_missing: bool
) -> dict[str, Any]:
    case: dict[str, Any] = {"image": [str(path or "") for path in images], "subject": name}
    if None in images and not allow_missing:
        lost = modalities[list(images).index(None)]
        case[CaseStatus.REFUSED] = f"{folder}: {name} has no {lost} there; expected {' and '.join(modalities)}."
    return case


def _tree(root: Path, depth: int = _DEPTH, section: str = "") -> Iterator[tuple[str, Path]]:
    """The folder and those in it, with the section that a name on the way stands for."""
    yield section, root
    for folder in folders_of(root) if depth else ():
        if folder.name.lower() != "derivatives":
            yield from _tree(folder, depth - 1, SECTIONS.get(folder.name.lower(), section))


def _volumes(folder: Path) -> list[Path]:
    return [path for path in members_of(folder) if path.is_file() and file_kind(path) == "volume"]
