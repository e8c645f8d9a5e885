"""The box around what is true in a mask."""

import numpy as np
from monai.transforms import generate_spatial_bounding_box


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
