"""Put a volume whose axes are not at right angles (tilted gantry, sheared affine) onto a regular grid."""

import itertools
from dataclasses import replace

import numpy as np
from nibabel.affines import voxel_sizes
from scipy.ndimage import affine_transform

from shared_networks.io.source import Source

_LEAST_COSINE = 5e-3
"""Cosine between two axes from which a volume counts as sheared: headers are rounded."""


def is_sheared(affine: np.ndarray) -> bool:
    """Whether axes of a voxel to world matrix, which is finite and not singular, are not at right angles."""
    directions = affine[:3, :3] / voxel_sizes(affine)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() > _LEAST_COSINE)


def background_value(values: np.ndarray) -> float:
    """What a volume holds where nothing is: the median of its corners."""
    return float(np.median([values[corner] for corner in itertools.product((0, -1), repeat=3)]))


def regular_grid(affine: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, ...]]:
    """Voxel to world, 4 x 4, and shape of a grid at right angles that covers a sheared one.

    The first axis keeps its direction, the first two keep their plane (the slices of a tilted gantry); the spacing
    along each is the distance of the sheared grid's planes.
    """
    directions, steps = np.linalg.qr(affine[:3, :3])
    signs = np.sign(np.diag(steps))
    directions, spacing = directions * signs, np.abs(np.diag(steps))
    corners = np.array(list(itertools.product(*((0, length - 1) for length in shape))), dtype=np.float64)
    places = (affine[:3, :3] @ corners.T).T @ directions / spacing
    first = np.floor(places.min(axis=0) + 1e-3)
    grid = np.eye(4)
    grid[:3, :3] = directions * spacing
    grid[:3, 3] = affine[:3, 3] + grid[:3, :3] @ first
    lengths = np.ceil(places.max(axis=0) - 1e-3) - first + 1
    return grid, tuple(int(length) for length in lengths)


def moved_onto(source: Source, affine: np.ndarray, shape: tuple[int, ...]) -> Source:
    """A volume on another grid, by linear interpolation in world coordinates, with its background around it.

    Affines are voxel to world; the source's may be any that can be inverted.
    """
    matrix = np.linalg.inv(source.affine) @ affine

    def moved(plane: np.ndarray, outside: float) -> np.ndarray:
        array = plane.astype(np.float32)
        return affine_transform(array, matrix[:3, :3], matrix[:3, 3], shape, order=1, mode="constant", cval=outside)

    background = background_value(source.values)
    values = moved(source.values, background)
    # A stripped volume has sharp borders; interpolation would put a rim of faint voxels around them.
    values[moved(source.values != background, 0.0) < 0.5] = background
    chroma = None if source.chroma is None else np.stack([moved(plane, 128.0) for plane in source.chroma])
    remark = f"{source.path.name}: its axes are not at right angles (tilted gantry?); resampled onto a regular grid"
    return replace(source, values=values, chroma=chroma, affine=affine.copy(), warnings=[*source.warnings, remark])


def on_regular_grid(source: Source) -> Source:
    """The source itself where it is a picture or its axes are at right angles, otherwise a resampled one."""
    if source.affine is None or not can_be_inverted(source.affine) or not is_sheared(source.affine):
        return source
    return moved_onto(source, *regular_grid(source.affine, source.values.shape))


def regular_pair(first: Source, second: Source, onto_first: bool) -> tuple[Source, Source]:
    """Two sources on regular grids, the first one's the common grid.

    ``onto_first`` puts a sheared second one onto it, in one step; false leaves it a grid of its own.
    """
    first = on_regular_grid(first)
    sheared = second.affine is not None and can_be_inverted(second.affine) and is_sheared(second.affine)
    if sheared and onto_first and first.affine is not None and can_be_inverted(first.affine):
        return first, moved_onto(second, first.affine, first.values.shape)
    return first, on_regular_grid(second)


def can_be_inverted(affine: np.ndarray) -> bool:
    """Whether a voxel to world matrix is finite and spans three dimensions."""
    lengths = voxel_sizes(affine)
    if not np.isfinite(affine).all() or (lengths < 1e-6).any():
        return False
    return abs(np.linalg.det(affine[:3, :3] / lengths)) >= 1e-3
