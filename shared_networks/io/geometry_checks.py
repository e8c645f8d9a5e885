"""Do two sources lie on one grid? MONAI stacks volumes of equal shape whatever their affines say; here they count."""

import itertools
from dataclasses import replace

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import SpatialResample
from nibabel.affines import voxel_sizes

from shared_networks.errors import InputError
from shared_networks.io.dicom_geometry import LPS_TO_RAS
from shared_networks.io.regular_grid import can_be_inverted, is_sheared
from shared_networks.io.source import Source

_TOLERANCE = 0.05
"""Accepted distance between corresponding corners, in voxels: rounding in headers stays far below."""
_FEWEST_SLICES = 4  # along every axis, with which ITK registers
_LATTICE = 17  # points along each axis at which two volumes are tried for overlap


def check_affine(source: Source) -> None:
    """Refuse an affine that is not finite, is singular, or is sheared.

    Raises:
        InputError: naming the file and the fact.
    """
    if source.affine is None:
        return
    remedy = "correct the header, or export the volume again."
    if not np.isfinite(source.affine).all():
        raise InputError(f"{source.path}: the affine holds NaN or infinite values; {remedy}")
    if not can_be_inverted(source.affine):
        spacing = voxel_sizes(source.affine)
        raise InputError(f"{source.path}: the affine is singular (spacing {_numbers(spacing)} mm); {remedy}")
    if is_sheared(source.affine):
        raise InputError(
            f"{source.path}: the affine is sheared, the axes are not at right angles (tilted gantry?); resample it to "
            "a regular grid, or let inference do it: --resample True."
        )


def check_same_grid(mri: Source, other: Source, remedy: str = "") -> None:
    """Refuse a label, mask or other source that is not on the grid of the first one.

    Raises InputError, one line naming both files, what differs and what to do: ``remedy``, or how two sources are
    brought onto one grid.
    """
    difference = _difference(mri, other)
    if difference:
        remedy = remedy or f"register and resample the two onto one grid{_remedy(mri, other)}"
        raise InputError(f"{mri.path} and {other.path}: {difference}; {remedy}")


def _remedy(mri: Source, other: Source) -> str:
    """What inference can do about two grids, as far as it will not refuse them then."""
    if mri.affine is None and other.affine is None:
        return ", or set resample to true (--resample True)."
    if mri.affine is None or other.affine is None:
        return "."
    ways = []
    if min(*mri.values.shape, *other.values.shape) >= _FEWEST_SLICES:
        ways.append("--align True registers")
    if _lacks_place(mri, other):
        return ", or let inference take the two as lying voxel on voxel: --resample True."
    if _overlap(mri.affine, mri.values.shape, other.affine, other.values.shape):
        ways.append("--resample True goes by the headers alone")
    return f", or let inference do it: {', '.join(ways)}." if ways else "."


def _overlap(affine: np.ndarray, shape: tuple[int, ...], other: np.ndarray, other_shape: tuple[int, ...]) -> bool:
    """Whether points of a grid lie in the field of view of another one."""
    points = np.stack(np.meshgrid(*(np.linspace(0, length - 1, _LATTICE) for length in shape)), axis=-1).reshape(-1, 3)
    matrix = np.linalg.inv(other) @ affine
    places = points @ matrix[:3, :3].T + matrix[:3, 3]
    return bool(((places >= 0) & (places <= np.array(other_shape) - 1)).all(axis=1).any())


def placed_like(mri: Source, other: Source, assumed: bool = False) -> Source:
    """The other volume on the MRI's grid, with a remark, where one of the two headers names no place in space.

    Programs that are given an array alone write voxels of 1 mm at the origin. Of a volume in colour, which no scanner
    makes, that is taken to be so; of grey values only when it is to be assumed.

    Args:
        mri: the one whose grid is wanted.
        other: the other source.
        assumed: whether grey values too, of one size, are taken as lying on those of the MRI.

    Returns:
        A new source; ``other`` itself where both headers name a place, where none does, or where the sizes differ.
    """
    if not _lacks_place(mri, other) or not (assumed or other.chroma is not None):
        return other
    nameless = other if _is_default(other.affine) else mri
    remark = f"{nameless.path.name}: its header names no place (voxels of 1 mm at the origin)"
    return replace(
        other,
        affine=mri.affine.copy(),
        warnings=[*other.warnings, f"{remark}; {other.path.name} was taken to lie on {mri.path.name} voxel by voxel"],
    )


def _lacks_place(mri: Source, other: Source) -> bool:
    """Whether one of two volumes of one size has the header of an array without place, and the other one has not."""
    if mri.affine is None or other.affine is None or mri.values.shape != other.values.shape:
        return False
    return _is_default(mri.affine) != _is_default(other.affine)


def _is_default(affine: np.ndarray) -> bool:
    """Voxels of 1 mm at the origin, along the axes of NIfTI or of ITK."""
    return np.array_equal(affine, np.eye(4)) or np.array_equal(affine, LPS_TO_RAS)


def _kind(source: Source) -> str:
    return "picture" if source.affine is None else "volume"


def _difference(mri: Source, other: Source) -> str:
    """What differs between the two grids, '' when nothing does."""
    if _kind(mri) != _kind(other):
        return f"one is a {_kind(mri)}, the other a {_kind(other)}"
    if mri.values.shape != other.values.shape:
        return f"the sizes differ, {_size(mri)} against {_size(other)}"
    if mri.affine is None or other.affine is None:
        return ""
    spacing, other_spacing = (voxel_sizes(source.affine) for source in (mri, other))
    corners = np.array(list(itertools.product(*((0, length - 1) for length in mri.values.shape))), dtype=np.float64)
    displacement = corners @ (mri.affine - other.affine)[:3, :3].T + (mri.affine - other.affine)[:3, 3]
    furthest = np.linalg.norm(displacement, axis=1).max()
    if furthest <= _TOLERANCE * spacing.min():
        return ""
    if not np.allclose(spacing, other_spacing, rtol=1e-3):
        return f"the spacing differs, {_numbers(spacing)} mm against {_numbers(other_spacing)} mm"
    codes, other_codes = ("".join(nib.aff2axcodes(source.affine)) for source in (mri, other))
    if codes != other_codes:
        return f"the orientation differs, {codes} against {other_codes}"
    if not np.allclose(mri.affine[:3, :3], other.affine[:3, :3], atol=1e-3 * spacing.min()):
        return f"one is rotated against the other (corners up to {furthest:.3g} mm apart)"
    return f"same size, but one is shifted against the other by {furthest:.3g} mm"


def _size(source: Source) -> str:
    return " x ".join(str(length) for length in source.values.shape)


def _numbers(values: np.ndarray) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def resample_onto(mri: Source, other: Source) -> Source:
    """The other source, in [0, 1], on the MRI's grid, by linear interpolation; ``other`` itself when the grids agree.

    Volumes are resampled in world coordinates, with 0 and no colour outside the field of view. Pictures have no
    coordinates: both are taken to show the same field of view, and the other one is resized. Raises InputError when one
    is a picture and one a volume, or when the volumes do not overlap.
    """
    if not _difference(mri, other):
        return other
    if _kind(mri) != _kind(other):
        check_same_grid(mri, other)
    planes = [other.values[None]] + ([] if other.chroma is None else [other.chroma - 128.0])
    stack = torch.from_numpy(np.concatenate(planes).astype(np.float32))
    if mri.affine is None:
        # Not monai's Resize: its anti-aliasing darkens the edges of the picture.
        moved = F.interpolate(stack[None], size=mri.values.shape, mode="bilinear", antialias=True)[0]
    else:
        inside = torch.ones_like(stack[:1])
        resampler = SpatialResample(mode="bilinear", padding_mode="zeros", align_corners=True)
        moved = resampler(
            MetaTensor(torch.cat([stack, inside]), affine=torch.from_numpy(other.affine)),
            dst_affine=torch.from_numpy(mri.affine),
            spatial_size=mri.values.shape,
        )
        if not bool((moved[-1] > 0.5).any()):
            raise InputError(f"{mri.path} and {other.path}: the volumes do not overlap in space; register them first.")
        moved = moved[:-1]
    array = np.asarray(moved.as_subclass(torch.Tensor))
    return Source(
        path=other.path,
        values=array[0].clip(0.0, 1.0),
        chroma=None if other.chroma is None else array[1:] + 128.0,
        affine=mri.affine,
        bit_depth=other.bit_depth,
        normalised=other.normalised,
        warnings=[*other.warnings, f"{other.path.name}: resampled onto the grid of {mri.path.name}"],
    )
