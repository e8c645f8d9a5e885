"""Volumes as ITK wants them, from arrays and affines as nibabel and MONAI have them."""

from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes

from shared_networks.io.dicom_geometry import LPS_TO_RAS


def to_itk(values: np.ndarray, affine: np.ndarray) -> Any:
    """An ITK image of float voxels (``itk.Image[itk.F, 3]``) with the same place in space.

    The values are X x Y x Z; the affine is voxel to world (RAS) in mm, with axes at right angles.
    """
    import itk

    matrix = LPS_TO_RAS @ affine
    spacing = voxel_sizes(matrix)
    image = itk.image_from_array(np.ascontiguousarray(values.T.astype(np.float32, copy=False)))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection(itk.matrix_from_array(matrix[:3, :3] / spacing))
    return image
