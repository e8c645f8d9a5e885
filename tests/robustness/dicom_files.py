"""Small DICOM series, written by ITK, for the tests."""

import itk
import numpy as np


def write_series(folder, voxels, spacing=(1.0, 1.0, 2.0), patient="nobody", description="T1", number=1):
    """Write X x Y x Z int16 voxels as one axial series, a file a slice; header text as given. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    series = f"1.2.826.0.1.3680043.2.1125.{number}"
    for index in range(voxels.shape[2]):
        # ITK's arrays have the axes the other way round.
        image = itk.image_from_array(np.ascontiguousarray(voxels[:, :, index].T[None].astype(np.int16)))
        image.SetSpacing([float(size) for size in spacing])
        image.SetOrigin([0.0, 0.0, index * float(spacing[2])])
        entries = {
            "0008|0016": "1.2.840.10008.5.1.4.1.1.4",
            "0008|0018": f"{series}.{index + 1}",
            "0008|0060": "MR",
            "0008|103e": description,
            "0010|0010": patient,
            "0010|0020": patient,
            "0020|000d": f"{series}.0",
            "0020|000e": series,
            "0020|0011": "1",
            "0020|0013": str(index + 1),
            "0020|0032": f"0\\0\\{index * float(spacing[2])}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": str(spacing[2]),
        }
        for tag, value in entries.items():
            image.GetMetaDataDictionary()[tag] = value
        header = itk.GDCMImageIO.New()
        header.KeepOriginalUIDOn()
        itk.imwrite(image, str(folder / f"{index + 1:02d}.dcm"), imageio=header)
    return folder
