"""Where the slices of a DICOM series lie: their order and the affine of their stack, or why they are none.

The geometry is computed from position and orientation of every slice, because ITK takes the distance of two slices for
all of them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from shared_networks.errors import InputError

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""DICOM and ITK count to the left and back, NIfTI to the right and front."""

MEASURED = ("CT", "PT", "NM")
"""Modalities whose values have a unit; elsewhere, lower ones are brighter in MONOCHROME1."""

_POSITION, _ORIENTATION, _SPACING, _THICKNESS = "0020|0032", "0020|0037", "0028|0030", "0018|0050"
_ROWS, _COLUMNS, _DISTANCE = "0028|0010", "0028|0011", "0018|0088"
GEOMETRY_TAGS = (_POSITION, _ORIENTATION, _SPACING, _THICKNESS, _ROWS, _COLUMNS)
"""Tags that :func:`stack_geometry` looks at, in this order."""
_SKEW = 0.02
"""Accepted scalar products of the directions of rows and columns, and deviations of their lengths from 1."""
_UNEVEN = 0.1
"""Accepted deviation of a distance between slices, as a share of the usual one."""


def numbers_of(header: dict[str, str], tag: str, count: int) -> np.ndarray | None:
    """The numbers of an attribute; None where there are not as many, or others than finite ones."""
    try:
        values = np.array([float(part) for part in header.get(tag, "").split("\\")])
    except ValueError:
        return None
    return values if values.shape == (count,) and np.isfinite(values).all() else None


def slice_thickness(header: dict[str, str]) -> float | None:
    """Thickness of a slice in mm, or where none is stated the distance to the next one; None without both."""
    for tag in (_THICKNESS, _DISTANCE):
        value = numbers_of(header, tag, 1)
        if value is not None and value[0] > 0:
            return float(value[0])
    return None


def stack_geometry(path: str | Path, headers: Sequence[dict[str, str]]) -> tuple[list[int], np.ndarray]:
    """Order of slices and affine of their stack.

    Args:
        path: for messages.
        headers: attributes of each slice, see :data:`GEOMETRY_TAGS`. A single slice that states no thickness is taken
            as 1 mm thick, of which its reader tells.

    Raises:
        InputError: see :func:`locate_series`.
    """
    places = [
        tuple(numbers_of(header, tag, count) for tag, count in ((_POSITION, 3), (_ORIENTATION, 6), (_SPACING, 2)))
        for header in headers
    ]
    if any(part is None for place in places for part in place):
        raise InputError(
            f"{path}: slices without position, orientation or pixel spacing; give the original series of the scanner."
        )
    positions, directions, spacings = (np.array(part) for part in zip(*places, strict=True))
    if spacings.min() <= 0:
        raise InputError(f"{path}: a pixel spacing of {spacings.min():g} mm; correct the headers, or export it again.")
    sizes = {(header.get(_ROWS), header.get(_COLUMNS)) for header in headers}
    if len(sizes) > 1 or not np.allclose(spacings, spacings[0], rtol=1e-3):
        raise InputError(f"{path}: slices of different size or pixel spacing in one series; give every part a folder.")
    axes = directions[0].reshape(2, 3)
    if np.abs(axes @ axes.T - np.eye(2)).max() > _SKEW:
        raise InputError(
            f"{path}: the orientation of its slices is none, rows and columns not at right angles; give the original "
            "series of the scanner."
        )
    if np.abs(directions - directions[0]).max() > 1e-3:
        raise InputError(f"{path}: slices in different directions in one series (a localiser?); give another series.")
    along_row, along_column = directions[0, :3], directions[0, 3:]
    normal = np.cross(along_row, along_column)
    order = np.argsort(positions @ normal, kind="stable").tolist()
    positions = positions[order]
    step = _step(path, positions, normal, headers[0])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([along_row * spacings[0, 1], along_column * spacings[0, 0], step], axis=1)
    affine[:3, 3] = positions[0]
    return order, LPS_TO_RAS @ affine


def _step(path: str | Path, positions: np.ndarray, normal: np.ndarray, header: dict[str, str]) -> np.ndarray:
    """From one slice to the next, in mm; positions are sorted along the normal."""
    if len(positions) == 1:
        return normal * (slice_thickness(header) or 1.0)
    distances = np.diff(positions @ normal)
    usual = float(np.median(distances))
    if distances.min() < _UNEVEN * distances.max() or usual <= 0:
        same = int((distances < _UNEVEN * distances.max()).sum())
        raise InputError(
            f"{path}: {same} slices of the DICOM series lie where another one lies (several echoes or time points, or "
            "copies, in one series); give one volume a folder."
        )
    worst = int(np.abs(distances - usual).argmax())
    if abs(distances[worst] - usual) > _UNEVEN * usual:
        raise InputError(
            f"{path}: slices of the DICOM series are missing or unevenly spaced ({distances[worst]:.4g} mm between "
            f"slices {worst + 1} and {worst + 2} of {len(positions)}, elsewhere {usual:.4g} mm); complete the series."
        )
    step = (positions[-1] - positions[0]) / (len(positions) - 1)
    sideways = np.linalg.norm(positions - positions[0] - np.outer(np.arange(len(positions)), step), axis=1).max()
    if sideways > max(1.0, usual):
        raise InputError(
            f"{path}: slices of the DICOM series are shifted against each other by up to {sideways:.3g} mm, they are "
            "no stack; give the original series of the scanner."
        )
    return step
