"""One DICOM file of several frames: enhanced MR, CT and PET, reconstructed SPECT; decoded by highdicom.

PS3.3 of the standard: Multi-frame Functional Groups (C.7.6.16), NM Detector and NM Reconstruction (C.8.4.11, C.8.4.15).
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shared_networks.errors import InputError, one_line
from shared_networks.io.dicom_geometry import GEOMETRY_TAGS, MEASURED, stack_geometry

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# Vectors of NM that tell frames apart which are not slices of one volume.
_OTHER_THAN_SLICES = (
    *("EnergyWindowVector", "DetectorVector", "PhaseVector", "RotationVector", "RRIntervalVector"),
    *("TimeSlotVector", "AngularViewVector", "TimeSliceVector"),
)


def is_film(header: "Dataset") -> bool:
    """Whether nothing says where the frames of a file lie: an ultrasound film, a capture of several screens."""
    groups = header.get("PerFrameFunctionalGroupsSequence") or []
    placed = any(group.get("PlanePositionSequence") for group in groups)
    return not placed and "DetectorInformationSequence" not in header


def read_frames(path: Path, file: Path) -> tuple[np.ndarray, np.ndarray, "Dataset"]:
    """Read a file whose frames are the slices of one volume; ``path`` is what the user named, for messages.

    Returns voxels X x Y x Z, float32 in the unit of the file's rescaling, or X x Y x Z x 3, uint8; affine, voxel to
    world (RAS) in mm; and the header. Raises InputError when the frames are no regular stack, or cannot be decoded.
    """
    import highdicom

    try:
        image = highdicom.imread(_with_preamble(file))
    except (AttributeError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path}: cannot be read ({one_line(error)[:150]}); export the series again.") from error
    order, affine = stack_geometry(path, [_attributes(image, place) for place in _places(path, image)])
    colour = int(image.SamplesPerPixel) == 3 or image.PhotometricInterpretation == "PALETTE COLOR"
    try:
        frames = image.get_frames(
            [number + 1 for number in order],
            dtype=np.uint8 if colour else np.float32,
            apply_real_world_transform=False,
            apply_presentation_lut=image.get("Modality") not in MEASURED,
            apply_icc_profile=False,
        )
    except (RuntimeError, ValueError, AttributeError, NotImplementedError) as error:
        raise InputError(
            f"{path}: the frames cannot be decoded ({one_line(error)[:150]}); decompress them first (gdcmconv --raw)."
        ) from error
    axes = (2, 1, 0, 3) if frames.ndim == 4 else (2, 1, 0)
    return np.ascontiguousarray(frames.transpose(axes)), affine, image


def _with_preamble(file: Path) -> Path | io.BytesIO:
    """The file, or where preamble or meta information are missing, its content with them, as highdicom needs them."""
    import pydicom
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    with file.open("rb") as stream:
        if stream.read(132)[128:] == b"DICM":
            return file
    dataset = pydicom.dcmread(file, force=True)
    implicit, little = dataset.original_encoding
    if "TransferSyntaxUID" not in dataset.file_meta:
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    content = io.BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return content


def _places(path: Path, image: Any) -> list[tuple]:
    """Position, orientation, spacing and thickness of every frame."""
    if "PerFrameFunctionalGroupsSequence" in image:
        return list(_grouped_places(image))
    if "DetectorInformationSequence" in image:
        return _stacked_places(path, image)
    raise InputError(
        f"{path}: {image.NumberOfFrames} frames without position, a film and not a volume; save one as PNG or give the "
        "original series of the scanner."
    )


def _grouped_places(image: Any) -> Iterator[tuple]:
    shared = image.get("SharedFunctionalGroupsSequence") or [{}]
    for groups in image.PerFrameFunctionalGroupsSequence:

        def value(sequence: str, name: str, groups: Any = groups) -> Any:
            items = groups.get(sequence) or shared[0].get(sequence) or [{}]
            return items[0].get(name)

        yield (
            value("PlanePositionSequence", "ImagePositionPatient"),
            value("PlaneOrientationSequence", "ImageOrientationPatient"),
            value("PixelMeasuresSequence", "PixelSpacing"),
            value("PixelMeasuresSequence", "SliceThickness"),
        )


def _stacked_places(path: Path, image: Any) -> list[tuple]:
    for name in _OTHER_THAN_SLICES:
        values = image.get(name) or []
        if len({str(value) for value in (values if isinstance(values, Sequence) else [values])}) > 1:
            raise InputError(
                f"{path}: frames of several energies, phases, times or views in one file; give a reconstructed volume."
            )
    detector = image.DetectorInformationSequence[0]
    position, orientation = detector.get("ImagePositionPatient"), detector.get("ImageOrientationPatient")
    count = int(image.NumberOfFrames)
    vector = image.get("SliceVector")
    slices = [int(value) - 1 for value in vector] if vector and len(vector) == count else list(range(count))
    step = float(image.get("SpacingBetweenSlices") or image.get("SliceThickness") or 0)
    if position is None or orientation is None or not step:
        return [(None, None, None, None)] * count
    direction = np.array([float(value) for value in orientation])
    normal = np.cross(direction[:3], direction[3:])
    first = np.array([float(value) for value in position])
    spacing = image.get("PixelSpacing")
    return [(first + normal * step * number, direction, spacing, abs(step)) for number in slices]


def _attributes(image: Any, place: tuple) -> dict[str, str]:
    """A frame's place as :func:`stack_geometry` takes it."""
    values = [*place, image.Rows, image.Columns]
    texts = [
        "" if value is None else "\\".join(f"{float(part):.10g}" for part in np.atleast_1d(value)) for value in values
    ]
    return dict(zip(GEOMETRY_TAGS, texts, strict=True))
