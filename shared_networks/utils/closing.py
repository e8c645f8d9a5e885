"""Closing of a mask by a ball whose radius is in mm."""

import numpy as np
from scipy.ndimage import distance_transform_edt

from shared_networks.utils.bounding_box import bounding_box


def closed(mask: np.ndarray, spacing: np.ndarray, radius: float) -> np.ndarray:
    """Fill the furrows and gaps of a mask that a ball does not fit into, whatever lies at the border of the image.

    Dilation and erosion by a ball are thresholds of distances: exact for any spacing.

    Args:
        mask: X x Y x Z, bool.
        spacing: mm between voxels along each axis.
        radius: of the ball, in mm.

    Returns:
        Bool of the same shape; true wherever the mask is.
    """
    if not mask.any():
        return mask.copy()
    box = bounding_box(mask)
    margin = [int(np.ceil(radius / size)) + 1 for size in spacing]
    padded = np.pad(mask[box], [(width, width) for width in margin])
    near = distance_transform_edt(~padded, sampling=spacing) <= radius
    filled = distance_transform_edt(near, sampling=spacing) > radius
    found = mask.copy()
    found[box] |= filled[tuple(slice(width, -width) for width in margin)]
    return found
