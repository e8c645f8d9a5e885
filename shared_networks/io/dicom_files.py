"""Which files are DICOM files, and which of a folder's files, and of its folders' files, belong to a series."""

import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path

PICTURE_SUFFIXES = (
    *(".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".gif", ".webp", ".jp2", ".j2k", ".jpx"),
)
VOLUME_SUFFIXES = (
    *(".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz"),
    *(".mgz", ".mgh", ".nrrd", ".nhdr", ".mha", ".mhd"),
)
_OTHER_SUFFIXES = (*PICTURE_SUFFIXES, *VOLUME_SUFFIXES, ".json", ".txt", ".xml", ".pdf", ".gz", ".zip", ".csv", ".db")
# First elements that files without the 128 bytes of preamble begin with: group length, or the first ones of 0008.
_FIRST_OF_IMAGE = (0x0000, 0x0001, 0x0005, 0x0006, 0x0008, 0x0016)
_FIRST_IN_BIG_ENDIAN = tuple(struct.pack(">HH", 8, element) for element in _FIRST_OF_IMAGE)
_FIRST_ELEMENTS = (
    *(struct.pack("<HH", 2, element) for element in (0, 1, 2)),
    *(struct.pack("<HH", 8, element) for element in _FIRST_OF_IMAGE),
    *_FIRST_IN_BIG_ENDIAN,
)
_DEEPEST = 4  # patient, study, series, and one more
_MOST_TRIED = 8  # files of a folder that are looked into before it is taken to hold no DICOM


def is_dicom(path: Path) -> bool:
    """A .dcm file, or one that begins as DICOM files do (scanners number them: ``IM0001``, ``1.3.12.2``).

    With the preamble of PS3.10 that is certain; without it, the first element must be one that data sets begin with.
    """
    name = path.name.lower()
    # A DICOMDIR lists the files of a disc, and holds no image.
    if name.startswith("._") or name == "dicomdir" or not path.is_file():
        return False
    if name.endswith(".dcm"):
        return True
    if name.endswith(_OTHER_SUFFIXES):
        return False
    with path.open("rb") as stream:
        return begins_as_dicom(stream.read(132))


def begins_as_dicom(start: bytes) -> bool:
    """Whether the first 132 bytes of a file are those of a DICOM file, with or without preamble."""
    return start[128:132] == b"DICM" or (len(start) >= 132 and start[:4] in _FIRST_ELEMENTS)


def begins_in_big_endian(path: Path) -> bool:
    """Whether a file is a data set in big endian without preamble."""
    with path.open("rb") as stream:
        start = stream.read(132)
    return begins_as_dicom(start) and start[128:132] != b"DICM" and start[:4] in _FIRST_IN_BIG_ENDIAN


def is_series_folder(folder: Path, several: bool = False) -> bool:
    """Whether a folder that exists is one series: it holds DICOM files, or the folders below it hold those of one
    series.

    ``several``: folders with several series below it count too (one of them was chosen).
    """
    members = _files(folder)
    if any(map(is_dicom, members)):
        return True
    # A folder of pictures or volumes, however large its subfolders.
    if any(entry.name.lower().endswith((*PICTURE_SUFFIXES, *VOLUME_SUFFIXES)) for entry in members):
        return False
    series = set()
    for file in _first_files(folder):
        series.add(_series_uid(file))
        if len(series) > 1 and not several:
            return False
    return bool(series)


def members_below(folder: Path) -> list[Path]:
    """The files of a series folder: its own, or where no DICOM file is among them those of its folders, sorted."""
    found = (file for below in dicom_folders(folder) for file in sorted(_files(below)))
    return [file for file in found if file.name.lower() != "dicomdir"]  # lists the files of a disc


def dicom_folders(folder: Path) -> list[Path]:
    """The folder itself when it holds DICOM files, otherwise every folder below it that does, in order of name."""
    if any(map(is_dicom, _files(folder))):
        return [folder]
    return sorted({file.parent for file in _first_files(folder)})


def _files(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_file()]


def _first_files(folder: Path) -> Iterator[Path]:
    """One DICOM file of every folder below that holds any."""
    for root, names, files in os.walk(folder):
        names.sort()
        below = Path(root)
        if len(below.relative_to(folder).parts) >= _DEEPEST:
            names.clear()
        likely = (below / name for name in sorted(files) if not name.startswith("."))
        found = next(filter(is_dicom, itertools.islice(likely, _MOST_TRIED)), None)
        if found is not None and below != folder:
            yield found


def _series_uid(file: Path) -> str:
    """Series Instance UID, the file's own name where it cannot be read."""
    import pydicom

    try:
        header = pydicom.dcmread(file, force=True, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
        return str(header.get("SeriesInstanceUID", file))
    except Exception:  # whatever a damaged file leads pydicom to; its reader says what is wrong
        return str(file)


def split_choice(path: str | Path) -> tuple[Path, str]:
    """Folder and choice of ``FOLDER#CHOICE``, one of several DICOM series in a folder.

    The choice is '' where there is none; a name that exists as it is holds none, whatever its characters. Of several
    ``#`` the last one counts that follows a folder's name: a series may be described as ``T2 #3``.
    """
    path, text = Path(path), str(path)
    if "#" in text and not path.exists():
        for place in (number for number in range(len(text) - 1, 0, -1) if text[number] == "#"):
            if Path(text[:place]).is_dir():
                return Path(text[:place]), text[place + 1 :].strip()
    return path, ""
