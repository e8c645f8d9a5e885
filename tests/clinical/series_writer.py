"""DICOM series as a scanner writes them, made of arrays, for the tests."""

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_series(folder, voxels, affine, name="{number:04d}.dcm", slopes=None, study=None, **attributes):
    """Write voxels X x Y x Z (int16), whose affine is to RAS, as one MR series; returns its Series Instance UID.

    ``slopes`` holds a RescaleSlope for every slice; further attributes go into every header.
    """
    folder.mkdir(parents=True, exist_ok=True)
    matrix = LPS @ affine
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    directions = matrix[:3, :3] / spacing
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
        for key, value in attributes.items():
            setattr(image, key, value)
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        # from the last slice to the first, so that the order of names is not that of positions
        image.save_as(folder / name.format(number=voxels.shape[2] - number), enforce_file_format=True)
    return str(uid)


def change(path, **attributes):
    """Change attributes of a file; None deletes one."""
    image = pydicom.dcmread(path)
    for key, value in attributes.items():
        if value is None:
            delattr(image, key)
        else:
            setattr(image, key, value)
    image.save_as(path)
