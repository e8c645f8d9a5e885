"""What inside a brain is 0 like the background: fluid of which the values were cut off, or a hole that was cut out."""

from collections.abc import Sequence

import numpy as np
from nibabel.affines import voxel_sizes
from scipy.ndimage import binary_dilation, binary_fill_holes, label

from shared_networks.io.source import Source
from shared_networks.utils.masks import bounding_box, closed

_CUT_IN_BOTH, _CUT_IN_ONE = 1e-3, 0.02
"""Share of the brain that is exactly 0, though enclosed, from which values were cut off at 0: in both images, in one.
In 21 clean pairs it was 4.1e-4 and 6.4e-3 at most."""
_FEWEST_CUT = 100  # voxels; fewer are a chance
_FURROW = 5.0  # mm, half the width of furrows that are filled then
_LEAST_HOLE_ML = 0.5  # a ball of 10 mm
_SHARP = 0.6
"""How bright, next to a hole that was cut out, the image is in the median, as a share of its median. In 4 pairs it was
0.96 and more beside balls and lesions that were set to 0 (less where they touch a ventricle), beside fluid that was
cut off 0.51 and less in the T1."""


def find_holes(
    mask: np.ndarray, zeros: Sequence[np.ndarray], images: Sequence[np.ndarray], source: Source
) -> np.ndarray:
    """Holes in a brain that were cut out, such as a masked lesion: 0 in every image, with tissue right beside them.

    Fluid that was cut off at 0 has dark voxels around it, partial volume with tissue.

    Args:
        mask: brain, bool of X x Y x Z, holes included.
        zeros: where each image is exactly 0, bool of the same shape; one image or two.
        images: the images, of the same shape, at least 0.
        source: its affine gives the size of voxels.

    Returns:
        Bool of the same shape: connected parts of 0.5 ml and more.
    """
    holes = np.zeros(mask.shape, bool)
    cut = np.logical_and.reduce([mask, *zeros])
    least = _LEAST_HOLE_ML * 1000 / float(voxel_sizes(source.affine).prod())
    if np.count_nonzero(cut) < least:
        return holes
    tissue = mask & ~cut
    usual = [np.median(image[tissue]) for image in images]
    parts, _ = label(cut)
    for number in np.flatnonzero(np.bincount(parts.ravel())[1:] >= least) + 1:
        part = parts == number
        box = bounding_box(part, 1)
        rim = binary_dilation(part[box]) & tissue[box]
        if all(np.median(image[box][rim]) >= _SHARP * level for image, level in zip(images, usual, strict=True)):
            holes |= part
    return holes


def holes_remark(holes: np.ndarray, source: Source, names: str) -> list[str]:
    """What to say about :func:`find_holes`, one text or none; ``names`` are those of the images."""
    volume = np.count_nonzero(holes) * float(voxel_sizes(source.affine).prod()) / 1000
    if not volume:
        return []
    fact = f"{names}: {volume:.3g} ml inside the brain are 0 like the background, with tissue right beside"
    return [f"{fact} (masked or cut out?); they count as brain, and may be labelled as fluid"]


def with_cut_fluid(
    mask: np.ndarray, zeros: Sequence[np.ndarray], holes: np.ndarray, source: Source, names: str
) -> np.ndarray:
    """A brain with the fluid of its furrows, where a noisy or clipped scan has 0 for fluid, with a remark.

    Enclosed, such fluid is a hole, which belongs to the brain anyway; many holes say that at the surface it cannot be
    told from the background. The furrows up to 10 mm wide are filled then; on the crowns of the gyri it stays lost.
    What was cut out says nothing of that.

    Args:
        mask: brain, bool of X x Y x Z, holes included; all outside it is background.
        zeros: where each image is exactly 0, bool of the same shape; one image or two.
        holes: what was cut out, see :func:`find_holes`.
        source: gets the remark; its affine gives the size of voxels.
        names: of the images, for the remark.

    Returns:
        The mask itself where values were not cut off.
    """
    cut = np.count_nonzero(np.logical_and.reduce([mask, *zeros]) & ~holes)
    share = _CUT_IN_ONE if len(zeros) == 1 else _CUT_IN_BOTH
    if cut < max(_FEWEST_CUT, share * np.count_nonzero(mask)):
        return mask
    spacing = voxel_sizes(source.affine)
    brain = binary_fill_holes(closed(mask, spacing, _FURROW))
    volume = (np.count_nonzero(brain) - np.count_nonzero(mask)) * float(spacing.prod()) / 1000
    if volume:
        source.warnings.append(
            f"{names}: fluid inside the brain is 0 like the background (values cut off at 0?); {volume:.3g} ml of "
            "furrows at the surface were taken as brain too; give images whose low values were kept"
        )
    return brain
