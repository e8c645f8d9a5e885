"""DICOM series as a scanner writes them, made of arrays, for the tests."""

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR, NM_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.20"
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_series(folder, voxels, affine, name="{number:04d}.dcm", slopes=None, study=None, **attributes):
    """Write voxels X x Y x Z (int16), whose affine is to RAS, as one MR series; returns its Series Instance UID.

    ``slopes`` holds a RescaleSlope for every slice; further attributes go into every header.
    """
    matrix, spacing, directions = geometry(affine)
    uid, frame, study = generate_uid(), generate_uid(), study or generate_uid()
    for number in range(voxels.shape[2]):
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = MR_IMAGE, generate_uid()
        image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = study, uid, frame
        image.PatientName, image.PatientID, image.PatientBirthDate, image.PatientSex = "Doe^Jane", "P1", "19700101", "F"
        image.StudyID, image.StudyDate, image.StudyTime = "1", "20200102", "101112"
        image.AccessionNumber, image.ReferringPhysicianName, image.Modality = "A1", "", "MR"
        image.Manufacturer, image.SeriesNumber, image.SeriesDescription = "Scanner", 3, "t1 mprage"
        image.InstanceNumber, image.ImageType = number + 1, ["ORIGINAL", "PRIMARY", "M"]
        image.ImagePositionPatient = [f"{value:.10g}" for value in (matrix @ [0, 0, number, 1])[:3]]
        image.ImageOrientationPatient = [f"{value:.10g}" for value in directions[:, :2].T.ravel()]
        image.PixelSpacing = [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"]
        image.SliceThickness = f"{spacing[2]:.10g}"
        image.Columns, image.Rows = voxels.shape[:2]
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.add_new((0x0029, 0x0010), "LO", "SCANNER HEADER")
        image.add_new((0x0029, 0x1010), "LO", "private of Jane Doe")
        if slopes is not None:
            image.RescaleSlope, image.RescaleIntercept = f"{slopes[number]:.10g}", "0"
        image.PixelData = np.ascontiguousarray(voxels[:, :, number].T.astype("<i2")).tobytes()
        # from the last slice to the first, so that the order of names is not that of positions
        save(image, folder / name.format(number=voxels.shape[2] - number), **attributes)
    return str(uid)


def geometry(affine):
    """Voxel to world (LPS), and of it the sizes and the directions of voxels."""
    matrix = LPS @ affine
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    return matrix, spacing, matrix[:3, :3] / spacing


def save(image, path, **attributes):
    """Write a file with further attributes; returns its path."""
    for key, value in attributes.items():
        setattr(image, key, value)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path


def change(path, **attributes):
    """Change attributes of a file; None deletes one."""
    image = pydicom.dcmread(path)
    for key, value in attributes.items():
        if value is None:
            delattr(image, key)
        else:
            setattr(image, key, value)
    image.save_as(path)


def items(*entries):
    sequence = pydicom.Sequence()
    for entry in entries:
        item = Dataset()
        for key, value in entry.items():
            setattr(item, key, value)
        sequence.append(item)
    return sequence


def multi_frame(path, values, affine, sop_class=ENHANCED_MR, slopes=None, order=None, **attributes):
    """One file of all slices, as enhanced MR or as reconstructed NM."""
    matrix, spacing, directions = geometry(affine)
    count = values.shape[2]
    order = list(range(count)) if order is None else order
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = sop_class, generate_uid()
    image.StudyInstanceUID, image.SeriesInstanceUID, image.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    image.PatientName, image.PatientID, image.Modality, image.SeriesNumber = "Doe^Jane", "P1", "MR", 4
    image.Columns, image.Rows = values.shape[:2]
    image.NumberOfFrames, image.SamplesPerPixel, image.PhotometricInterpretation = count, 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    orientation = [f"{value:.10g}" for value in directions[:, :2].T.ravel()]
    measures = {"PixelSpacing": [f"{spacing[1]:.10g}", f"{spacing[0]:.10g}"], "SliceThickness": f"{spacing[2]:.10g}"}
    positions = [[f"{value:.10g}" for value in (matrix @ [0, 0, number, 1])[:3]] for number in order]
    if sop_class == NM_IMAGE:
        image.Modality = "NM"
        image.PixelSpacing, image.SliceThickness = measures["PixelSpacing"], measures["SliceThickness"]
        sign = np.sign(np.cross(directions[:, 0], directions[:, 1]) @ directions[:, 2])
        image.SpacingBetweenSlices = f"{sign * spacing[2]:.10g}"
        image.DetectorInformationSequence = items(
            {"ImagePositionPatient": positions[0], "ImageOrientationPatient": orientation}
        )
        image.NumberOfSlices = count
    else:
        image.SharedFunctionalGroupsSequence = items(
            {
                "PlaneOrientationSequence": items({"ImageOrientationPatient": orientation}),
                "PixelMeasuresSequence": items(measures),
            }
        )
        slopes = slopes or [1.0] * count
        image.PerFrameFunctionalGroupsSequence = items(
            *(
                {
                    "PlanePositionSequence": items({"ImagePositionPatient": position}),
                    "FrameContentSequence": items({"StackID": "1", "InStackPositionNumber": number + 1}),
                    "PixelValueTransformationSequence": items(
                        {"RescaleSlope": f"{slope:g}", "RescaleIntercept": "0", "RescaleType": "US"}
                    ),
                }
                for number, (position, slope) in enumerate(zip(positions, slopes, strict=True))
            )
        )
    image.PixelData = np.ascontiguousarray(values[:, :, order].T.astype("<i2")).tobytes()
    return save(image, path, **attributes)
