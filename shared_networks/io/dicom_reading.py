"""Read what a path names in DICOM: a series of slices (by ITK's GDCM reader), a file of several frames, a picture."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shared_networks.errors import InputError
from shared_networks.io.dicom_damage import how_stored
from shared_networks.io.dicom_files import is_dicom, members_below, split_choice
from shared_networks.io.dicom_frames import is_film, read_frames
from shared_networks.io.dicom_geometry import MEASURED, numbers_of, slice_thickness
from shared_networks.io.dicom_series import find_series, frame_count, header_of, locate_series, pixels_of
from shared_networks.io.header_checks import check_series_size

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_AIR = -1000.0
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"  # and what begins so
_SLOPE, _INTERCEPT, _POSITION, _MODALITY = "0028|1053", "0028|1052", "0020|0032", "0008|0060"
_NO_IMAGES = {"RTDOSE": "a distribution of dose", "SEG": "a segmentation"}
"""Modalities with pixels that are no image."""
_UNUSUAL = {
    **dict.fromkeys(("P", "PHASE", "PHASE MAP"), "a phase image"),
    "PROJECTION IMAGE": "a projection",
    "LOCALIZER": "a localiser",
}
"""What ImageType may say, from its third value on, of images that are rarely meant."""
_NO_THICKNESS = "a single slice that states no thickness, which was taken as 1 mm"


@dataclass
class DicomImage:
    """What was read.

    Attributes:
        voxels: X x Y x Z (columns, rows, slices) in the unit that the rescaling of the files gives, float32; or X x Y x
            Z x 3, uint8, in colour; a picture is rows x columns x 3 or rows x columns.
        affine: voxel to world (RAS) in mm, None for a picture.
        highest: value of white in a picture or in colour.
        patient: id and name, '' when there is none.
        modality: as the files state it, '' when they do not.
        window: lowest and highest value of the window that the files suggest, None without one.
        remarks: for the user.
    """

    voxels: np.ndarray
    affine: np.ndarray | None
    highest: float = 255.0
    patient: str = ""
    modality: str = ""
    window: tuple[float, float] | None = None
    remarks: list[str] = field(default_factory=list)


def read_series(path: str | Path) -> DicomImage:
    """Read the series that a path names, see :func:`shared_networks.io.dicom_series.find_series`.

    Identical copies of slices are left out, padding (PixelPaddingValue) becomes air, each with a remark. Raises
    InputError, see :func:`shared_networks.io.dicom_series.locate_series`.
    """
    path = Path(path)
    given, _ = split_choice(path)
    check_series_size(members_below(given) if given.is_dir() else [given])
    found = find_series(path)
    header = header_of(found.files[0])
    kind = header.get(_MODALITY, "")
    if kind in _NO_IMAGES:
        raise InputError(f"{path}: {_NO_IMAGES[kind]} ({kind}), no image; give the series of the image itself.")
    if len(found.files) == 1:
        first = _header(found.files[0])
        is_grouped = frame_count(header) > 1 or "PerFrameFunctionalGroupsSequence" in first
        is_placed = not is_film(first) if is_grouped else numbers_of(header, _POSITION, 3) is not None
        picture = None if is_placed else _read_picture(found.files[0])
        if picture is not None:
            return picture
        if is_grouped:
            return _read_frames(path, found.files[0], found.patient)
    series, affine = locate_series(path)
    first = _header(series.files[0])
    _refuse_stored_otherwise(path, first)
    voxels = _slices(path, series.files)
    if first.get("PhotometricInterpretation") == "MONOCHROME1" and first.get("Modality") in MEASURED:
        _undo_inversion(voxels, [_scale(header_of(file)) for file in series.files], first)
    remarks = []
    if given.is_file() and _has_siblings(given, series.uid):
        remarks.append(
            f"{path.name}: one slice of its series, which has more in the same folder; give the folder for all"
        )
    if len(series.files) == 1 and slice_thickness(header) is None:
        remarks.append(f"{path.name}: {_NO_THICKNESS}")
    kinds = [part.upper() for part in first.get("ImageType", ())]
    for kind, words in _UNUSUAL.items():
        if kind in kinds[2:]:
            remarks.append(f"{path.name}: {words}, as its header says (ImageType {kind}); is it the right series?")
    if series.copies:
        remarks.append(f"{path.name}: {series.copies} identical copies of slices were left out")
    if voxels.ndim == 3:
        scales = [_scale(header_of(file)) for file in series.files] if "PixelPaddingValue" in first else []
        remarks += _clear_padding(voxels, scales, first, path.name)
    window = _window([_header(file) for file in series.files] if "WindowWidth" in first else [])
    modality = str(first.get("Modality", ""))
    return DicomImage(voxels, affine, 255.0, series.patient, modality, window, remarks)


def _has_siblings(file: Path, uid: str) -> bool:
    """Whether a further file of the series lies beside this one; a few are looked at."""
    others = (other for other in sorted(file.parent.iterdir()) if other != file and is_dicom(other))
    return any(str(_header(other).get("SeriesInstanceUID", "")) == uid for other in itertools.islice(others, 4))


def _read_frames(path: Path, file: Path, patient: str) -> DicomImage:
    voxels, affine, header = read_frames(path, file)
    groups = [
        *(header.get("SharedFunctionalGroupsSequence") or []),
        *(header.get("PerFrameFunctionalGroupsSequence") or []),
    ]
    windows = [item for group in groups for item in group.get("FrameVOILUTSequence") or []]
    transforms = [item for group in groups for item in group.get("PixelValueTransformationSequence") or []]
    remarks = []
    is_thick = any(item.get("SliceThickness") for group in groups for item in group.get("PixelMeasuresSequence") or [])
    if voxels.shape[2] == 1 and "PerFrameFunctionalGroupsSequence" in header and not is_thick:
        remarks.append(f"{path.name}: {_NO_THICKNESS}")
    scales = {(float(item.get("RescaleSlope", 1)), float(item.get("RescaleIntercept", 0))) for item in transforms}
    if voxels.ndim == 3 and len(scales) <= 1:
        remarks += _clear_padding(voxels, [*(scales or {(1.0, 0.0)})] * voxels.shape[2], header, path.name)
    window = _window(windows or [header])
    return DicomImage(voxels, affine, 255.0, patient, str(header.get("Modality", "")), window, remarks)


def _refuse_stored_otherwise(path: Path, header: "Dataset") -> None:
    """What the decoder passes over, so that other values than the scanner's would be read without a word."""
    if "MOSAIC" in [str(kind).upper() for kind in header.get("ImageType") or []]:
        raise InputError(
            f"{path}: a mosaic, all slices of a volume in one picture; convert it to NIfTI first (dcm2niix)."
        )
    if "ModalityLUTSequence" in header:
        raise InputError(
            f"{path}: a table (Modality LUT) says what its values mean, which is not applied; export it with a rescale "
            "slope."
        )
    highest, bits = header.get("HighBit"), header.get("BitsStored")
    if header.get("SamplesPerPixel", 1) == 3 and int(bits or 8) > 8:
        raise InputError(f"{path}: a volume in colour of {bits} bit; export it with 8 bit.")
    if highest is not None and bits is not None and int(highest) != int(bits) - 1:
        raise InputError(
            f"{path}: {bits} bits are stored below bit {highest}, as DICOM no longer allows; export the series again."
        )


def _undo_inversion(voxels: np.ndarray, scales: list[tuple[float, float]], header: "Dataset") -> None:
    """MONOCHROME1 inverts how HU and activity are shown, not what they are; GDCM turns every stored bit, in place."""
    last = -1.0 if header.get("PixelRepresentation", 0) else 2.0 ** int(header.get("BitsStored", 16)) - 1
    for number, (slope, intercept) in enumerate(scales):
        stored = np.round((voxels[..., number].astype(np.float64) - intercept) / slope)
        voxels[..., number] = (last - stored) * slope + intercept


def _slices(path: Path, files: tuple[Path, ...]) -> np.ndarray:
    """Voxels of single-frame files in their order."""
    import itk

    reader = itk.GDCMImageIO.New()
    reader.SetFileName(str(files[0]))
    reader.ReadImageInformation()
    colour = reader.GetNumberOfComponents() == 3
    # float for grey values: each slice of a PET series has a scale of its own, and ITK would take the first one's type
    pixel = itk.RGBPixel[itk.UC] if colour else itk.F
    try:
        slices = [pixels_of(file, pixel) for file in files]
    except RuntimeError as error:
        raise InputError(f"{path}: the pixels cannot be decoded{how_stored(files)}") from error
    # Every file is 1 x Y x X, with the three colours last.
    voxels = np.stack([one.reshape(one.shape[-3 if colour else -2 :]) for one in slices], axis=2 if colour else 0)
    return np.ascontiguousarray(voxels.transpose(1, 0, 2, 3) if colour else voxels.T)


def _read_picture(file: Path) -> DicomImage | None:
    """An image without a place in space, the first one of a film: colour, 8-bit grey, or a deeper secondary capture,
    shown through the window that it states; None for other grey values, of unknown range."""
    import itk

    reader = itk.GDCMImageIO.New()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    colour = reader.GetNumberOfComponents() == 3
    header = _header(file)
    bits = int(header.get("BitsStored", 0))
    is_capture = str(header.get("SOPClassUID", "")).startswith(_SECONDARY_CAPTURE)
    is_deep = 8 < bits <= 16 and is_capture and not header.get("PixelRepresentation", 0)
    if colour and bits > 8 and header.get("PhotometricInterpretation") == "RGB":
        frames = _deep_colour(file)
        return DicomImage(frames[0], None, 2.0**bits - 1, remarks=_film_remarks(file, frames))
    _refuse_stored_otherwise(file, header)
    if bits != 8 and not (is_deep and _scale(header_of(file)) == (1.0, 0.0)):
        return None
    try:
        pixels = pixels_of(file, itk.RGBPixel[itk.UC] if colour else itk.F)
    except RuntimeError as error:
        raise InputError(f"{file}: the pixels cannot be decoded{how_stored([file])}") from error
    frames = pixels.reshape(-1, *pixels.shape[-3 if colour else -2 :])
    shown, highest = frames[0], 2.0**bits - 1
    low, high = _window([header]) or (0.0, highest)
    if header.get("PhotometricInterpretation") == "MONOCHROME1":  # GDCM turned the values, not the window
        low, high = highest - high, highest - low
    low, high = max(low, 0.0), min(high, highest)
    if is_deep and high > low:
        shown, highest = shown.clip(low, high).astype(np.float32) - np.float32(low), high - low
    return DicomImage(shown, None, highest, remarks=_film_remarks(file, frames))


def _film_remarks(file: Path, frames: np.ndarray) -> list[str]:
    count = len(frames)
    film = f"{file.name}: {count} frames without position, a film, of which the first one was read"
    return [film] if count > 1 else []


def _deep_colour(file: Path) -> np.ndarray:
    """Colour of more than 8 bit, frames x rows x columns x 3, which ITK would be asked for as bytes."""
    import pydicom

    try:
        pixels = pydicom.dcmread(file, force=True).pixel_array
    except (AttributeError, RuntimeError, ValueError, NotImplementedError) as error:
        raise InputError(f"{file}: the pixels cannot be decoded{how_stored([file])}") from error
    return pixels.reshape(-1, *pixels.shape[-3:])


def _header(file: Path) -> "Dataset":
    import pydicom

    return pydicom.dcmread(file, force=True, stop_before_pixels=True)


def _scale(header: dict[str, str]) -> tuple[float, float]:
    """Slope and intercept of a file's rescaling."""
    slope, intercept = numbers_of(header, _SLOPE, 1), numbers_of(header, _INTERCEPT, 1)
    return (
        1.0 if slope is None or not slope[0] else float(slope[0]),
        0.0 if intercept is None else float(intercept[0]),
    )


def _clear_padding(voxels: np.ndarray, scales: list[tuple[float, float]], header: "Dataset", name: str) -> list[str]:
    """Set voxels that the header calls padding to air, in place; of other modalities than CT to 0, or lower."""
    value = header.get("PixelPaddingValue")
    if value is None or not scales:
        return []
    ends = [_stored(value, header), _stored(header.get("PixelPaddingRangeLimit", value), header)]
    padding = np.zeros(voxels.shape, bool)
    for number, (slope, intercept) in enumerate(scales):
        stored = (voxels[..., number] - intercept) / slope
        padding[..., number] = (stored > min(ends) - 0.5) & (stored < max(ends) + 0.5)
    if not padding.any() or padding.all():
        return []
    air = _AIR if header.get("Modality") == "CT" else min(0.0, float(voxels[~padding].min()))
    changed = int((voxels[padding] != air).sum())
    voxels[padding] = air
    return [f"{name}: {changed} voxels of padding were set to {air:g}"] if changed else []


def _stored(value: object, header: "Dataset") -> int:
    """A padding value as the pixels hold it: some programs write it with the wrong sign."""
    number, bits = int(value), int(header.get("BitsAllocated", 16))
    if header.get("PixelRepresentation", 0):
        return number - 2**bits if number >= 2 ** (bits - 1) else number
    return number + 2**bits if number < 0 else number


def _window(headers: list) -> tuple[float, float] | None:
    """Lowest and highest value of the first window, the median over slices (PS3.3, C.11.2.1.2)."""
    found = []
    for header in headers:
        try:
            centre, width = (float(np.atleast_1d(header[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
        except (KeyError, TypeError, ValueError, IndexError):
            continue
        exact = header.get("VOILUTFunction", "LINEAR") == "LINEAR_EXACT"
        low = centre - width / 2 if exact else centre - 0.5 - (width - 1) / 2
        if width > 1:
            found.append((low, low + (width if exact else width - 1)))
    return tuple(float(value) for value in np.median(found, axis=0)) if found else None
