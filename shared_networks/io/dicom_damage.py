"""Files in a folder of DICOM series that cannot be read though they may belong to one: a slice would be missing."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from shared_networks.errors import InputError

_NUMBER = re.compile(r"\d+")


def dicom_contents(folder: Path, but: Collection[Path] = ()) -> dict[Path, bytes]:
    """Files in a folder that carry the DICOM preamble or are named .dcm, with their bytes."""
    others = (file for file in sorted(folder.iterdir()) if file.is_file() and file not in but)
    contents = {file: file.read_bytes() for file in others}
    return {
        file: content
        for file, content in contents.items()
        if content[128:132] == b"DICM" or file.suffix.lower() == ".dcm"
    }


def refuse_damaged(
    folder: Path,
    uid: str,
    sop_class: str,
    files: Sequence[Path],
    others: Sequence[Sequence[Path]],
    readable: Collection[Path],
) -> None:
    """Refuse a folder that holds a file of a series that the reader passes over: a slice would be missing, unnoticed
    at the ends of the stack.

    An empty file has nothing but its name: one that is named like those of another series only belongs to that one.

    Args:
        folder: that holds files of the series.
        uid: Series Instance UID.
        sop_class: SOP Class UID of its images.
        files: of the series.
        others: files of each other series that was found.
        readable: all files that the reader takes.

    Raises:
        InputError: one line with the file.
    """
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
    for file, content in dicom_contents(folder, readable).items():
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
