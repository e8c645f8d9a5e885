"""What a file is, by its name: picture, volume or DICOM series; and which names may be used for output."""

import re
import unicodedata
from pathlib import Path

from shared_networks.io.dicom_files import PICTURE_SUFFIXES, VOLUME_SUFFIXES, is_dicom, is_series_folder, split_choice

INPUT_KINDS = (
    "picture (PNG, TIFF, BMP, JPEG, ...), volume (NIfTI .nii, .nii.gz, .hdr; .mgz, .nrrd, .mha, ...), DICOM file or "
    "folder of one DICOM series"
)
"""For error messages."""


def file_kind(path: str | Path) -> str:
    """``"picture"``, ``"volume"``, ``"series"`` (DICOM) or ``""`` (nothing that can be read).

    A series is a folder with DICOM files; a folder whose folders hold the files of one series, or of several when a
    choice is given; or one DICOM file. The ``.img`` of a ``.hdr`` beside it is part of that one, not a volume of its
    own, so that a folder of volumes lists each of them once.

    Args:
        path: file, folder, or ``FOLDER#CHOICE`` (:mod:`shared_networks.io.dicom_files`).
    """
    path, choice = split_choice(path)
    name = path.name.lower()
    if path.is_dir():
        try:
            return "series" if is_series_folder(path, bool(choice)) else ""
        except PermissionError:
            return ""
    if name.endswith(PICTURE_SUFFIXES):
        return "picture"
    if name.endswith(VOLUME_SUFFIXES):
        return "" if name.endswith((".img", ".img.gz")) and header_beside(path) else "volume"
    return "series" if path.is_file() and is_dicom(path) else ""


def header_beside(path: str | Path) -> Path | None:
    """The ``.hdr`` or ``.hdr.gz`` beside an ``.img`` or ``.img.gz``, None where there is none."""
    path = Path(path)
    stem = file_stem(path)
    found = [path.with_name(stem + ending) for ending in (".hdr", ".HDR", ".hdr.gz", ".HDR.GZ")]
    is_image = path.name.lower().endswith((".img", ".img.gz"))
    return next((header for header in found if header.is_file()), None) if is_image else None


def file_stem(path: str | Path) -> str:
    """File name without ``.nii.gz``, ``.png`` and the like; other dots stay; a folder's name stays whole."""
    name = Path(path).name
    for suffix in sorted((*PICTURE_SUFFIXES, *VOLUME_SUFFIXES, ".dcm"), key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # no file may be called so on Windows


def safe_name(name: str) -> str:
    """A name that is one plain folder or file name on every system: letters, digits, ``.``, ``_``, ``-``.

    Anything else becomes ``_``; dots at the ends go, so that ``..`` and hidden names cannot occur; at most 100
    characters, and 180 bytes, because file systems count bytes (255, of which the files' endings need some); names of
    Windows' devices get a ``_`` in front.
    """
    plain = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", str(name))).strip(".")[:100]
    plain = plain.encode()[:180].decode(errors="ignore").rstrip(".")
    return f"_{plain}" if _DEVICES.match(plain) else plain or "case"


def is_path(name: str) -> bool:
    """Whether a name that is meant for an output could lead to another folder: ``..``, separators, a drive."""
    return bool(re.search(r"[/\\\0]|^\.+$|^[A-Za-z]:", str(name)))


def case_folder(output_dir: str | Path, name: str) -> Path:
    """``<output_dir>/<name>``, which may be missing.

    Raises:
        OSError: when it is a link that leads out of ``output_dir``.
    """
    folder = Path(output_dir) / name
    if not folder.resolve().is_relative_to(Path(output_dir).resolve()):
        raise OSError("a link that leads out of output_dir; remove it")
    return folder
