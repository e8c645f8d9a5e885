"""Masks of volumes: the box around one, and its closing by a ball whose radius is in mm."""

import numpy as np
from monai.transforms import generate_spatial_bounding_box
from scipy.ndimage import distance_transform_edt


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """The smallest box that holds all of a mask, grown on each side as far as the array reaches.

    Args:
        mask: bool, any number of axes.
        margin: voxels added on each side.

    Returns:
        A slice for each axis; the whole array where nothing is true.
    """
    if not mask.any():
        return tuple(slice(0, length) for length in mask.shape)
    return tuple(map(slice, *generate_spatial_bounding_box(mask[None], margin=margin, allow_smaller=True)))


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
