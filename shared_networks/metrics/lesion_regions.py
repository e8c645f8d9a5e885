"""Lesions by the region of the white matter that they lie in, by distance to the case's own ventricles and cortex."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from nibabel.affines import voxel_sizes
from scipy import ndimage
from scipy.spatial import KDTree

from shared_networks.metrics.lesions import lesion_components

REGIONS = ("periventricular", "juxtacortical", "deep_white_matter")

_DEEP_MM, _COARSE_MM = 20.0, 3.0
_THICK_MM, _LEAST_ML = 4.0, 0.5
_CORTEX_MM = 6.0


def lesions_by_region(
    label: np.ndarray,
    affine: np.ndarray,
    classes: Sequence[int] = (1, 2, 4),
    periventricular_mm: float = 3.0,
    juxtacortical_mm: float = 1.5,
) -> dict[str, dict[str, float]]:
    """Number and volume of the lesions in each region.

    A lesion (26-connected) is periventricular when a voxel of it lies within ``periventricular_mm`` of the ventricles
    (:func:`ventricle_mask`), else juxtacortical when one lies within ``juxtacortical_mm`` of the cortex, else of the
    deep white matter. The cortex is the grey matter within 6 mm of CSF outside the ventricles or of the surface of the
    brain: deep nuclei, whose neighbours are ventricles and white matter, are farther away. Distances are between
    centres of voxels. The regions are those of Filippi et al., Lancet Neurology 2016 (contact with ventricle or
    cortex); infratentorial lesions are not distinguished, and count where their distances put them.

    Args:
        label: class numbers X x Y x Z; the brain is what is not 0.
        affine: voxel to world in mm, 4 x 4.
        classes: numbers of CSF, grey matter and lesions.
        periventricular_mm: reach of the ventricles; it bridges their rim, which is often taken for white matter.
        juxtacortical_mm: reach of the cortex.

    Returns:
        Region of :data:`REGIONS` -> ``count`` and ``volume_ml``.
    """
    csf, grey, lesion = (label == number for number in classes)
    sizes = voxel_sizes(np.asarray(affine, dtype=np.float64))
    numbers, voxels = lesion_components(lesion)
    if not voxels.size:
        return {region: {"count": 0, "volume_ml": 0.0} for region in REGIONS}
    outside = label == 0
    ventricles = ventricle_mask(csf, outside, sizes)
    points = np.argwhere(lesion) * sizes
    cortex = _within(np.argwhere(grey & _reach(lesion, juxtacortical_mm, sizes)) * sizes, points, juxtacortical_mm)
    cortex = _within(cortex, np.argwhere(_rim((csf & ~ventricles) | outside)) * sizes, _CORTEX_MM)
    touched = []
    for place, reach in ((np.argwhere(_rim(ventricles)) * sizes, periventricular_mm), (cortex, juxtacortical_mm)):
        of_point = numbers[lesion][_is_within(points, place, reach)]
        touched.append(np.isin(np.arange(1, voxels.size + 1), of_point))
    periventricular = touched[0]
    juxtacortical = touched[1] & ~periventricular
    found: dict[str, dict[str, Any]] = {}
    for region, inside in zip(
        REGIONS, (periventricular, juxtacortical, ~periventricular & ~juxtacortical), strict=True
    ):
        volume = float(voxels[inside].sum()) * float(np.prod(sizes)) / 1000.0
        found[region] = {"count": int(inside.sum()), "volume_ml": round(volume, 4)}
    return found


def ventricle_mask(csf: np.ndarray, outside: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The CSF of the ventricles: what lies 20 mm or more below the surface of the brain and is no thin sheet.

    Masks are X x Y x Z, ``outside`` is what is not the brain, ``sizes`` those of a voxel in mm. Depths are found on a
    grid of about 3 mm. Of the deep CSF those places stay where a disc 4 mm wide fits into a slice, with the deep CSF
    within 4 mm of them, in pieces of at least 0.5 ml. That leaves out fissures; cisterns beside the brain stem stay.
    """
    deep = csf & (_depth(outside, sizes) >= _DEEP_MM)
    ventricles = np.zeros_like(csf)
    places = np.argwhere(deep)
    if not places.size:
        return ventricles
    # A margin of one voxel, so that the box does not end where the CSF goes on to be none.
    box = tuple(slice(max(0, low - 1), high + 2) for low, high in zip(places.min(0), places.max(0), strict=True))
    deep = deep[box]
    # Thick slices are never crossed: in them a ventricle is a voxel or two high.
    far = 1e3 * sizes.max()
    in_plane = np.where(sizes > 2.0 * sizes.min(), far, sizes)
    # From a centre to the first centre outside is half a voxel more than to the edge.
    core = 2.0 * ndimage.distance_transform_edt(deep, sampling=in_plane) - sizes.min() >= _THICK_MM
    if not core.any():
        return ventricles
    near = deep & (ndimage.distance_transform_edt(~core, sampling=sizes) <= _THICK_MM)
    numbers, voxels = lesion_components(near)
    keep = np.concatenate([[False], voxels * float(np.prod(sizes)) / 1000.0 >= _LEAST_ML])
    ventricles[box] = keep[numbers]
    return ventricles


def _depth(outside: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Distance of every voxel to what is outside the brain in mm, on a coarse grid; a cut through it is no edge."""
    steps = np.maximum(1, np.floor(_COARSE_MM / sizes)).astype(int)
    coarse = outside[tuple(slice(None, None, step) for step in steps)]
    if not coarse.any():
        return np.full(outside.shape, np.inf)
    depth = ndimage.distance_transform_edt(~coarse, sampling=sizes * steps)
    for axis, (step, length) in enumerate(zip(steps, outside.shape, strict=True)):
        depth = depth.take(np.arange(length) // step, axis=axis)
    return depth


def _rim(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask that touch what is not of it: the nearest voxel of a mask is one of these."""
    inner = mask.copy()
    for axis in range(mask.ndim):  # ndimage's erosion takes ten times as long
        before, at = (np.moveaxis(array, axis, 0) for array in (mask, inner))
        at[1:] &= before[:-1]
        at[:-1] &= before[1:]
    return mask & ~inner


def _reach(mask: np.ndarray, reach: float, sizes: np.ndarray) -> np.ndarray:
    """A mask and the boxes of half the side ``reach`` around its voxels."""
    grown = mask.copy()
    for axis, size in enumerate(sizes):
        for _ in range(int(np.floor(reach / size + 1e-6))):
            at = np.moveaxis(grown, axis, 0)
            before = at.copy()
            at[1:] |= before[:-1]
            at[:-1] |= before[1:]
    return grown


def _is_within(points: np.ndarray, others: np.ndarray, reach: float) -> np.ndarray:
    """Which of N x 3 points lie within ``reach`` of one of the others."""
    if not len(points) or not len(others):
        return np.zeros(len(points), bool)
    # A distance that is exactly the reach is within it.
    distances, _ = KDTree(others).query(points, distance_upper_bound=reach + 1e-6)
    return np.isfinite(distances)


def _within(points: np.ndarray, others: np.ndarray, reach: float) -> np.ndarray:
    return points[_is_within(points, others, reach)]
