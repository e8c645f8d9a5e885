"""DICOM files that cannot be read: whether a slice is missing for them, and what to say."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from shared_networks.errors import InputError
from shared_networks.io.dicom_files import dicom_folders

_NUMBER = re.compile(r"\d+")
_PIXELS = (b"\xe0\x7f\x10\0", b"\x7f\xe0\0\x10")
_FLOAT_PIXELS = (b"\xe0\x7f\x08\0OF", b"\xe0\x7f\x09\0OD")


def _dicom_contents(folder: Path, but: Collection[Path] = ()) -> dict[Path, bytes]:
    """Files in a folder that carry the DICOM preamble or are named .dcm, with their bytes."""
    others = (file for file in sorted(folder.iterdir()) if file.is_file() and file not in but)
    contents = {file: file.read_bytes() for file in others}
    return {
        file: content
        for file, content in contents.items()
        if content[128:132] == b"DICM" or file.suffix.lower() == ".dcm"
    }


def refuse_damaged(
    folder: Path, files: Sequence[Path], uid: str, sop_class: str, others: Sequence[Sequence[Path]]
) -> None:
    """Refuse a file of a series that the reader passes over: a missing slice, unnoticed at the ends of the stack.

    An empty file has nothing but its name: one that is named like those of another series only belongs to that one.

    Args:
        folder: where the series has files.
        files: of the series that can be read.
        uid: Series Instance UID.
        sop_class: SOP Class UID.
        others: files of each other series.

    Raises:
        InputError: for such a file.
    """
    readable = {file for one in (files, *others) for file in one}
    own, foreign = _name_patterns(files), [pattern for other in others for pattern in _name_patterns(other)]
    for file in sorted(folder.iterdir()):
        if file in readable or not file.is_file() or file.stat().st_size:
            continue
        is_own = any(pattern.fullmatch(file.name) for pattern in own)
        is_foreign = not is_own and any(pattern.fullmatch(file.name) for pattern in foreign)
        if is_own or (file.suffix.lower() == ".dcm" and not is_foreign):
            raise InputError(
                f"{file}: the file is empty, and may belong to the DICOM series; copy it again, or take it away if it "
                "is another one's."
            )
    for file, content in _dicom_contents(folder, readable).items():
        if content and _names(content, uid) and _names(content[:1000], sop_class):
            raise InputError(f"{file}: cannot be read, but belongs to the DICOM series; copy or export it again.")


def _names(content: bytes, uid: str) -> bool:
    """Whether the bytes of a file hold a UID, and not one that it is a part of."""
    return re.search(rb"(?<![\d.])" + re.escape(uid.encode()) + rb"(?![\d.])", content) is not None


def _name_patterns(files: Sequence[Path]) -> list[re.Pattern[str]]:
    """How the files of a series are named: with any number where their numbers differ."""
    numbers: dict[tuple[str, ...], list[list[str]]] = {}
    for file in files:
        numbers.setdefault(tuple(_NUMBER.split(file.name)), []).append(_NUMBER.findall(file.name))
    patterns = []
    for texts, found in numbers.items():
        at_places = [set(place) for place in zip(*found, strict=True)]
        fixed = [places.pop() if len(places) == 1 < len(found) else r"\d+" for places in at_places]
        patterns.append("".join(map("".join, zip(map(re.escape, texts), [*fixed, ""], strict=True))))
    return [re.compile(pattern) for pattern in patterns]


def why_nothing(folder: Path) -> str:
    """What to say about a folder, or a file, without a readable series."""
    if folder.is_file():
        return f"cannot be read as a DICOM image{how_stored([folder])}"
    contents = {
        file: content for below in dicom_folders(folder) or [folder] for file, content in _dicom_contents(below).items()
    }
    if not any(contents.values()):
        return "cannot be read: no DICOM image is in the folder; give the folder that holds the slices themselves."
    return f"none of its {len(contents)} DICOM files can be read as an image{how_stored(contents)}"


def how_stored(files: Collection[Path]) -> str:
    """How the pixels of files are stored, and what to do about it."""
    contents = [file.read_bytes() for file in files]
    if any(tag in content for content in contents for tag in _FLOAT_PIXELS):
        return ": the pixels are floating-point numbers; export whole numbers with a rescale slope, or NIfTI."
    if not any(tag in content for content in contents for tag in _PIXELS):
        return ": it holds no pixels (a report, a plan, structures?); give the images themselves."
    kinds = sorted({kind for kind in (_transfer_syntax(content[:2000]) for content in contents) if kind})
    if not kinds:
        return "; copy or export it again."
    how = f" (transfer syntax {', '.join(kinds)})"
    return f"{how}; if they are compressed, export them uncompressed or decompress them first (gdcmconv --raw)."


def _transfer_syntax(content: bytes) -> str:
    """Transfer Syntax UID of a DICOM file, '' when there is none; its group is always explicit little endian."""
    place = content.find(b"\x02\x00\x10\x00UI", 132, 2000)
    if place < 0:
        return ""
    length = int.from_bytes(content[place + 6 : place + 8], "little")
    return content[place + 8 : place + 8 + length].rstrip(b"\x00 ").decode("ascii", "replace")
