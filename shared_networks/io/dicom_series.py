"""Find one DICOM series and where its slices lie, and refuse what would become a wrong volume."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shared_networks.errors import InputError
from shared_networks.io.dicom_files import begins_in_big_endian, dicom_folders, split_choice
from shared_networks.io.dicom_geometry import GEOMETRY_TAGS, stack_geometry

_FRAMES = "0028|0008"
_MOST_LISTED = 8
_NUMBER = re.compile(r"\d+")
_PIXELS = (b"\xe0\x7f\x10\0", b"\x7f\xe0\0\x10")
_FLOAT_PIXELS = (b"\xe0\x7f\x08\0OF", b"\xe0\x7f\x09\0OD")


@dataclass(frozen=True)
class DicomSeries:
    """One series in a folder.

    Attributes:
        uid: Series Instance UID.
        number: series number, '' when there is none.
        description: series description, '' when there is none.
        patient: patient's id and name on one line, '' when there is none.
        sop_class: SOP Class UID of its first file.
        files: its image files, in the reader's order.
        copies: how many files were left out because others hold the same slices.
    """

    uid: str
    number: str
    description: str
    patient: str
    sop_class: str
    files: tuple[Path, ...]
    copies: int = 0

    def __str__(self) -> str:
        return f"{self.number or '-'} '{self.description}' ({len(self.files)} images, {self.uid})"


def list_series(path: Path) -> list[DicomSeries]:
    """The image series in a folder, or in the folders below one without DICOM files of its own, by series number.

    Files that are no DICOM images (text, reports, presentation states) are passed over. A file is a series of its own.
    """
    import itk

    if path.is_file():
        # GDCM reads big endian without preamble, though it does not say so.
        is_read = itk.GDCMImageIO.New().CanReadFile(str(path)) or begins_in_big_endian(path)
        return [_series_of("", [path])] if is_read else []
    found: dict[str, list[Path]] = {}
    for folder in dicom_folders(path):
        names = itk.GDCMSeriesFileNames.New()
        names.SetUseSeriesDetails(False)
        names.SetGlobalWarningDisplay(False)
        names.SetDirectory(str(folder))
        for uid in names.GetSeriesUIDs():
            found.setdefault(uid, []).extend(Path(name) for name in names.GetFileNames(uid))
    series = [_series_of(uid, files) for uid, files in found.items() if files]
    return sorted(series, key=lambda one: (one.number.zfill(12), one.uid))


def _series_of(uid: str, files: Sequence[Path]) -> DicomSeries:
    header = header_of(files[0])
    patient = " ".join(header.get(tag, "") for tag in ("0010|0020", "0010|0010")).strip()
    return DicomSeries(
        uid=uid.strip() or header.get("0020|000e", ""),
        number=header.get("0020|0011", ""),
        description=header.get("0008|103e", ""),
        patient=patient,
        sop_class=header.get("0008|0016", ""),
        files=tuple(files),
    )


def find_series(path: str | Path) -> DicomSeries:
    """The series that a path names.

    That is a DICOM file; a folder with one series, or above the folders that hold it; or ``FOLDER#CHOICE`` for one of
    several, where the choice is its number, its Series Instance UID or its description.

    Raises InputError when there is no readable series, when there are several and none is chosen, when the choice fits
    none or several of them, or when a file of the series is damaged.
    """
    folder, choice = split_choice(path)
    series = every = list_series(folder)
    if not series:
        raise InputError(f"{folder}: {_why_nothing(folder)}")
    listing = listed(series)
    if choice:
        wanted = [one for one in series if choice in (one.uid, one.number, one.description)]
        if len(wanted) != 1:
            raise InputError(f"{path}: {len(wanted)} series fit '{choice}'; there are: {listing}.")
        series = wanted
    if len(series) > 1:
        raise InputError(
            f"{path}: more than one DICOM series in the folder: {listing}; choose one by its number, description or "
            f"UID, as in {folder}#{suggested_choice(series)}."
        )
    if folder.is_dir():
        others = [one for one in every if one is not series[0]]
        for below in {file.parent for file in series[0].files}:
            _refuse_damaged(below, series[0], others)
    return series[0]


def listed(series: Sequence[DicomSeries]) -> str:
    """The first eight series on one line."""
    return "; ".join(str(one) for one in series[:_MOST_LISTED]) + ("; ..." if len(series) > _MOST_LISTED else "")


def suggested_choice(series: Sequence[DicomSeries]) -> str:
    """What chooses the largest of several series: its number, or its UID where another one has that number."""
    largest = max(series, key=lambda one: len(one.files))
    is_telling = largest.number and sum(largest.number in (one.number, one.description) for one in series) == 1
    return largest.number if is_telling else largest.uid


def locate_series(path: str | Path) -> tuple[DicomSeries, np.ndarray]:
    """Where the slices of a series of single-frame files lie, without their grey values, see :func:`find_series`.

    Returns the series, with its files in order along the cross product of the directions of rows and columns, copies
    left out; and the affine of the volume columns x rows x slices, voxel to world (RAS) in mm, 4 x 4 float64.

    Raises InputError when the slices are no regular stack: different directions, sizes or pixel spacings, several at
    one position, missing or unevenly spaced ones, no position at all, several frames in one file.
    """
    series = find_series(path)
    headers = [header_of(file) for file in series.files]
    if any(frame_count(header) > 1 for header in headers):
        if len(headers) > 1:
            raise InputError(
                f"{path}: {len(headers)} files of several frames in one DICOM series; give one of them, as in "
                f"{series.files[0]}."
            )
        raise InputError(f"{path}: several frames in one DICOM file; expected a series of single slices.")
    patients = {header.get("0010|0020", "") for header in headers}
    if len(patients) > 1:
        raise InputError(f"{path}: slices of {len(patients)} patients in one DICOM series; give each of them a folder.")
    kept = _without_copies(series.files, headers)
    order, affine = stack_geometry(path, [headers[number] for number in kept])
    files = tuple(series.files[kept[number]] for number in order)
    return replace(series, files=files, copies=len(headers) - len(kept)), affine


def _without_copies(files: Sequence[Path], headers: Sequence[dict[str, str]]) -> list[int]:
    """Numbers of the files but for those that hold the same pixels at the same place as one before."""
    import itk

    places: dict[tuple[str, ...], list[int]] = {}
    for number, header in enumerate(headers):
        places.setdefault(tuple(header.get(tag, "") for tag in GEOMETRY_TAGS), []).append(number)
    dropped = set()
    for numbers in places.values():
        pixels: list[np.ndarray] = []
        for number in numbers if len(numbers) > 1 else ():
            try:
                slice_pixels = pixels_of(files[number], itk.F)
            except RuntimeError:  # whoever reads the series says so
                continue
            if any(np.array_equal(slice_pixels, other) for other in pixels):
                dropped.add(number)
            pixels.append(slice_pixels)
    return [number for number in range(len(files)) if number not in dropped]


def pixels_of(file: Path, pixel_type: Any) -> np.ndarray:
    """Pixels of a file, slices x rows x columns (x colours), as an ITK type; a file without preamble too.

    Raises:
        RuntimeError: when GDCM cannot decode them.
    """
    import itk

    # Not itk.imread, which asks every reader whether it knows the file: without preamble, none says so.
    reader = itk.ImageFileReader[itk.Image[pixel_type, 3]].New(FileName=str(file), ImageIO=itk.GDCMImageIO.New())
    reader.Update()
    return itk.array_from_image(reader.GetOutput())


def frame_count(header: dict[str, str]) -> int:
    """Frames of a file."""
    text = header.get(_FRAMES, "")
    return int(text) if text.isdecimal() else 1


def header_of(file: Path) -> dict[str, str]:
    """Attributes of the top level as text, by tag ``gggg|eeee``."""
    import itk

    reader = itk.GDCMImageIO.New()
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
        entries = reader.GetMetaDataDictionary()
        found = {key: str(entries[key]) for key in entries.GetKeys()}
    except RuntimeError:  # GDCM stumbles over the image, which need not be the one that is wanted
        found = _texts(file)
    # undecodable bytes come as surrogates, which nothing can print
    clean = {key: value.encode("utf-8", "replace").decode() for key, value in found.items()}
    return {key: " ".join(value.replace("\x00", " ").split()) for key, value in clean.items()}


def _texts(file: Path) -> dict[str, str]:
    """:func:`header_of` by pydicom."""
    import pydicom

    header = pydicom.dcmread(file, force=True, stop_before_pixels=True)
    elements = {f"{element.tag.group:04x}|{element.tag.element:04x}": element.value for element in header}
    return {
        key: "\\".join(map(str, value)) if isinstance(value, pydicom.multival.MultiValue) else str(value)
        for key, value in elements.items()
        if not isinstance(value, pydicom.Sequence | bytes | None)
    }


def _dicom_contents(folder: Path, but: Collection[Path] = ()) -> dict[Path, bytes]:
    """Files in a folder that carry the DICOM preamble or are named .dcm, with their bytes."""
    others = (file for file in sorted(folder.iterdir()) if file.is_file() and file not in but)
    contents = {file: file.read_bytes() for file in others}
    return {
        file: content
        for file, content in contents.items()
        if content[128:132] == b"DICM" or file.suffix.lower() == ".dcm"
    }


def _refuse_damaged(folder: Path, series: DicomSeries, others: Sequence[DicomSeries]) -> None:
    """A file of the series that the reader passes over would be a missing slice, unnoticed at the ends of the stack.

    An empty file has nothing but its name: one that is named like those of another series only belongs to that one.
    """
    readable = {file for one in (series, *others) for file in one.files}
    own, foreign = _name_patterns(series), [pattern for other in others for pattern in _name_patterns(other)]
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
        if content and _names(content, series.uid) and _names(content[:1000], series.sop_class):
            raise InputError(f"{file}: cannot be read, but belongs to the DICOM series; copy or export it again.")


def _names(content: bytes, uid: str) -> bool:
    """Whether the bytes of a file hold a UID, and not one that it is a part of."""
    return re.search(rb"(?<![\d.])" + re.escape(uid.encode()) + rb"(?![\d.])", content) is not None


def _name_patterns(series: DicomSeries) -> list[re.Pattern[str]]:
    """How the files of a series are named: with any number where their numbers differ."""
    numbers: dict[tuple[str, ...], list[list[str]]] = {}
    for file in series.files:
        numbers.setdefault(tuple(_NUMBER.split(file.name)), []).append(_NUMBER.findall(file.name))
    patterns = []
    for texts, found in numbers.items():
        at_places = [set(place) for place in zip(*found, strict=True)]
        fixed = [places.pop() if len(places) == 1 < len(found) else r"\d+" for places in at_places]
        patterns.append("".join(map("".join, zip(map(re.escape, texts), [*fixed, ""], strict=True))))
    return [re.compile(pattern) for pattern in patterns]


def _why_nothing(folder: Path) -> str:
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
