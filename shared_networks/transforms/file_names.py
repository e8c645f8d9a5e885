"""What a file is, by its name: picture, volume or DICOM series; and which names may be used for output."""

import re
import unicodedata
from pathlib import Path

from shared_networks.utils.series_choice import split_choice

__all__ = ["INPUT_KINDS", "case_folder", "file_kind", "file_stem", "is_path", "safe_name"]

_PICTURE_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
_VOLUME_SUFFIXES = (".nii", ".nii.gz")
INPUT_KINDS = "PNG, TIFF, BMP or JPEG picture, NIfTI volume (.nii, .nii.gz) or folder of one DICOM series"
"""For error messages."""


def file_kind(path: str | Path) -> str:
    """``"picture"``, ``"volume"``, ``"series"`` (a folder with DICOM files) or ``""`` (nothing that can be read).

    Args:
        path: file, folder, or ``FOLDER#CHOICE`` (:mod:`shared_networks.utils.series_choice`); only a folder is looked
            into.
    """
    path, _ = split_choice(path)
    name = path.name.lower()
    if path.is_dir():
        try:
            return "series" if any(_is_dicom(member) for member in path.iterdir()) else ""
        except PermissionError:
            return ""
    if name.endswith(_PICTURE_SUFFIXES):
        return "picture"
    return "volume" if name.endswith(_VOLUME_SUFFIXES) else ""


def _is_dicom(path: Path) -> bool:
    """A .dcm file, or one that carries the DICOM preamble (scanners number their files: ``IM0001``, ``1.3.12.2``)."""
    name = path.name.lower()
    if name.endswith(".dcm"):
        return True
    if name.endswith((*_PICTURE_SUFFIXES, *_VOLUME_SUFFIXES)) or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def file_stem(path: str | Path) -> str:
    """File name without ``.nii.gz``, ``.png`` and the like; other dots stay; a folder's name stays whole."""
    name = Path(path).name
    for suffix in sorted((*_PICTURE_SUFFIXES, *_VOLUME_SUFFIXES), key=len, reverse=True):
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
