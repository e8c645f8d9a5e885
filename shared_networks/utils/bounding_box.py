"""The box around what is true in a mask."""

import numpy as np

__all__ = ["bounding_box"]


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """The smallest box that holds all of a mask, grown on each side as far as the array reaches.

    Args:
        mask: bool, any number of axes.
        margin: voxels added on each side.

    Returns:
        A slice for each axis; the whole array where nothing is true.
    """
    sides = []
    for axis, length in enumerate(mask.shape):
        places = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not places.size:
            return tuple(slice(0, length) for length in mask.shape)
        sides.append(slice(max(0, int(places[0]) - margin), min(length, int(places[-1]) + 1 + margin)))
    return tuple(sides)
