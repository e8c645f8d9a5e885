"""Find one DICOM series and where its slices lie, and refuse what would become a wrong volume."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shared_networks.errors import InputError
from shared_networks.io.dicom_damage import refuse_damaged, why_nothing
from shared_networks.io.dicom_files import begins_in_big_endian, dicom_folders, split_choice
from shared_networks.io.dicom_geometry import GEOMETRY_TAGS, stack_geometry

_FRAMES = "0028|0008"
_MOST_LISTED = 8


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
        raise InputError(f"{folder}: {why_nothing(folder)}")
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
        found, others = series[0], [one.files for one in every if one is not series[0]]
        for below in {file.parent for file in found.files}:
            refuse_damaged(below, found.files, found.uid, found.sop_class, others)
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
