"""A fused volume as a derived DICOM series: one single-frame image for each slice of the series that it lies on.

PS3.3 of the standard: General Image and Common Instance Reference modules (C.7.6.1, C.12.2), MR Image (C.8.3.1),
Secondary Capture (C.8.6).
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import shared_networks
from shared_networks.io.dicom_series import DicomSeries

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_MR_IMAGE, _SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"
_BITS = 12  # what every viewer shows
# Nothing is copied but what is named here: headers of scanners are full of private and personal things.
_PATIENT_AND_STUDY = [
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "SpecificCharacterSet",
]
_PLACE = [
    "FrameOfReferenceUID",
    "PositionReferenceIndicator",
    "PatientPosition",
    "BodyPartExamined",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "SliceLocation",
]
# The standard wants them there, if only empty.
_REQUIRED = [
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
]


def read_headers(series: DicomSeries) -> list["Dataset"]:
    """Headers of a series' files, in order, without pixels."""
    import pydicom

    return [pydicom.dcmread(file, stop_before_pixels=True) for file in series.files]


def write_derived_series(
    folder: Path, values: np.ndarray, source: Sequence["Dataset"], others: Sequence["Dataset"], description: str
) -> str:
    """Write ``0001.dcm``, ``0002.dcm`` ... with new UIDs, without private attributes; returns the Series Instance UID.

    Values in [0, 1] are columns x rows x slices (stored as 0..4095), or 3 x these for colour, on the grid of the series
    whose headers, in the order of the slices, are ``source``. ``others`` are headers of the other images that they were
    made of; empty where these are no DICOM images. The description has at most 64 characters; the folder is made.

    Grey volumes become MR images where the source is MR, everything else becomes secondary captures that keep their
    place in space. Patient, study, frame of reference and geometry are the source's.
    """
    from pydicom.uid import generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    uid, now = generate_uid(prefix=None), datetime.now()
    colour = values.ndim == 4
    grey_mr = not colour and source[0].SOPClassUID == _MR_IMAGE
    for number, header in enumerate(source):
        image = _image(header, uid, now, _MR_IMAGE if grey_mr else _SECONDARY_CAPTURE)
        image.SeriesDescription, image.InstanceNumber = description, number + 1
        image.SeriesNumber = new_series_number(header, 1)
        image.SourceImageSequence = [_reference(header, with_purpose=True)]
        _refer_to(image, [*source, *others])
        _set_pixels(image, values[..., number])
        image.remove_private_tags()
        image.save_as(folder / f"{number + 1:04d}.dcm", enforce_file_format=True)
    return str(uid)


def _image(header: "Dataset", series_uid: str, now: datetime, sop_class: str) -> "Dataset":
    """A derived image of one slice, but for references and pixels."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    image = Dataset()
    for name in (*_PATIENT_AND_STUDY, *_PLACE):
        if name in header:
            image[name] = header[name]
    for name in _REQUIRED:
        if name not in image:
            setattr(image, name, "")
    image.SOPClassUID, image.SOPInstanceUID = sop_class, generate_uid(prefix=None)
    image.SeriesInstanceUID = series_uid
    image.Modality = header.get("Modality", "OT")
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    for kind in ("InstanceCreation", "Series", "Content"):
        setattr(image, f"{kind}Date", date)
        setattr(image, f"{kind}Time", time)
    image.Manufacturer = image.ManufacturerModelName = shared_networks.__name__
    image.SoftwareVersions = shared_networks.__version__
    image.ImageComments = "Made by research software. Not for diagnosis."
    image.DerivationDescription = f"Fusion of registered images, shared_networks {shared_networks.__version__}"
    image.BurnedInAnnotation, image.LossyImageCompression = "NO", header.get("LossyImageCompression") or "00"
    if sop_class == _MR_IMAGE:
        image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        image.ScanningSequence, image.SequenceVariant = "RM", "NONE"
        for name in ("ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength"):
            setattr(image, name, None)
    else:
        image.ImageType, image.ConversionType = ["DERIVED", "SECONDARY"], "WSD"
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return image


def new_series_number(header: "Dataset", further: int) -> int:
    """A number beside those of the scanner."""
    return 100 * int(header.get("SeriesNumber") or 0) + further


def _set_pixels(image: "Dataset", plane: np.ndarray) -> None:
    """Pixels of one slice, columns x rows or 3 x columns x rows in [0, 1]."""
    colour = plane.ndim == 3
    bits = 8 if colour else _BITS
    pixels = np.rint(plane.clip(0.0, 1.0) * (2**bits - 1)).astype(np.uint8 if colour else np.uint16).T
    image.Rows, image.Columns = pixels.shape[:2]
    image.SamplesPerPixel = 3 if colour else 1
    image.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        image.PlanarConfiguration = 0
    else:
        image.WindowCenter, image.WindowWidth = 2 ** (bits - 1), 2**bits
    image.BitsAllocated, image.BitsStored, image.HighBit = 8 if colour else 16, bits, bits - 1
    image.PixelRepresentation = 0
    data = np.ascontiguousarray(pixels).astype("u1" if colour else "<u2").tobytes()
    image.PixelData = data + b"\0" * (len(data) % 2)
    image["PixelData"].VR = "OB" if colour else "OW"


def _reference(header: "Dataset", with_purpose: bool = False) -> "Dataset":
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if with_purpose:
        purpose = Dataset()
        purpose.CodeValue, purpose.CodingSchemeDesignator = "121322", "DCM"
        purpose.CodeMeaning = "Source image for image processing operation"
        item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _refer_to(image: "Dataset", headers: Sequence["Dataset"]) -> None:
    """Name every image that went in, by series; those of other studies below their study."""
    from pydicom.dataset import Dataset

    by_series: dict[tuple[str, str], Dataset] = {}
    for header in headers:
        key = (str(header.StudyInstanceUID), str(header.SeriesInstanceUID))
        if key not in by_series:
            by_series[key] = Dataset()
            by_series[key].SeriesInstanceUID = header.SeriesInstanceUID
            by_series[key].ReferencedInstanceSequence = []
        by_series[key].ReferencedInstanceSequence.append(_reference(header))
    image.ReferencedSeriesSequence = [item for (study, _), item in by_series.items() if study == image.StudyInstanceUID]
    elsewhere = []
    for (study, _), item in by_series.items():
        if study != image.StudyInstanceUID:
            entry = Dataset()
            entry.StudyInstanceUID, entry.ReferencedSeriesSequence = study, [item]
            elsewhere.append(entry)
    if elsewhere:
        image.StudiesContainingOtherReferencedInstancesSequence = elsewhere
