"""Results of a volume in the geometry of the file that it came from."""

import nibabel as nib
import numpy as np

from shared_networks.transforms.file_names import file_kind

__all__ = ["like_source"]


def like_source(voxels: np.ndarray, affine: np.ndarray, source: str, description: str) -> nib.Nifti1Image:
    """A NIfTI image with the geometry of the source's header, where the source is a NIfTI file on the same grid.

    Args:
        voxels: X x Y x Z, of the type to write.
        affine: voxel to world in mm, 4 x 4, float64.
        source: file that the voxels were made of; for another kind of file the affine alone is the geometry.
        description: what the image is, for its header.
    """
    if file_kind(source) == "volume":
        original = nib.load(source)
        header = original.header.copy()
        if header.get_data_shape()[:3] == voxels.shape and np.array_equal(header.get_best_affine(), affine):
            header.extensions.clear()
            header.set_data_dtype(voxels.dtype)
            header["cal_min"], header["cal_max"], header["intent_code"] = 0, 0, 0
            header["descrip"] = description.encode()
            # With affine=None nibabel leaves both affines of the header and their codes as they are.
            return type(original)(voxels, None, header)
    return nib.Nifti1Image(voxels, affine)
