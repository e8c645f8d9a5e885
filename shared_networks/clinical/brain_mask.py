"""A simple brain mask of a T1 volume by threshold and mathematical morphology, for where no better one is at hand."""

import numpy as np
from nibabel.affines import voxel_sizes
from scipy.ndimage import affine_transform, binary_fill_holes, distance_transform_edt, label
from skimage.filters import threshold_otsu

from shared_networks.errors import InputError
from shared_networks.utils.masks import closed

_BRIDGES = 3.0  # mm: half the width of what is cut between brain and scalp (nerves, vessels, meninges)
_FOLDS = 8.0  # mm: half the width of the furrows and ventricles that are filled
_GRID = 2.0  # mm between the voxels that are looked at
_TISSUE = 0.5  # of the brightness deep in the head: fluid, skull and air are darker
_DIM = 80.0  # percentile above which brightness says nothing about where the head ends
_LARGEST_ML, _SMALLEST_ML = 2200.0, 500.0
"""Volumes that a mask of a whole brain can have."""


def simple_brain_mask(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, str]:
    """The brain in a T1 volume of a head, X x Y x Z with a background that is 0 or dark.

    Otsu's threshold takes the head from air, and half the brightness deep in the head takes tissue from skull and
    fluid; opening by 3 mm cuts the bridges to the scalp; the largest part is the brain; closing by 8 mm and filling of
    holes bring furrows and ventricles back. All on a grid of 2 mm. It knows nothing of anatomy: eyes, muscles and neck
    can stay, and fluid at the surface is lost. A mask made by a trained tool is better.

    Returns the mask, bool, and a warning, '' when its volume is that of a brain. Raises InputError when nothing is
    left.
    """
    spacing = voxel_sizes(affine)
    step = np.maximum(1, np.round(_GRID / spacing)).astype(int)
    coarse = values[tuple(slice(None, None, int(length)) for length in step)]
    mask = _opened_and_filled(coarse, spacing * step)
    weights = affine_transform(mask.astype(np.float32), 1.0 / step, output_shape=values.shape, order=1, mode="nearest")
    brain = weights > 0.5
    volume = float(brain.sum()) * abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    if _SMALLEST_ML <= volume <= _LARGEST_ML:
        return brain, ""
    return brain, f"the simple brain mask has {volume:.0f} ml, which is no whole brain; look at the picture"


def _opened_and_filled(values: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    head = binary_fill_holes(values > threshold_otsu(values.clip(max=np.percentile(values, _DIM))))
    depth = _depth(head, spacing)
    # Fat is brighter than any brain: what lies deep says how bright brain is.
    deep = depth > 0.5 * depth.max()
    tissue = head & (values > _TISSUE * np.median(values[deep]))
    # Erosion and dilation by a ball are thresholds of distances: exact for any spacing, and fast.
    parts, count = label(_depth(tissue, spacing) > _BRIDGES)
    if not count:
        raise InputError("no brain can be told from the rest of the head; give a mask made by another tool.")
    core = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    near = distance_transform_edt(~core, sampling=spacing) <= _BRIDGES
    return binary_fill_holes(closed(tissue & near, spacing, _FOLDS))


def _depth(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance in mm to what is outside; the border of the volume counts as inside."""
    return distance_transform_edt(mask, sampling=spacing)
