"""What of a volume is background: connected to the edges of its box, low, flat; the rest is foreground, holes too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, binary_fill_holes, label

from shared_networks.errors import InputError
from shared_networks.io.source import Source
from shared_networks.utils.masks import bounding_box

_RIPPLE, _MOST_RIPPLE = 0.02, 0.15
"""How far from its level a background may be that is not flat, as a share of the 99th percentile of what is not
background; at least, and at most where the edges of the box say that it is noise."""

_UNCLEAN = 0.2
"""Share of such a background that is not exactly its level. In 46 stripped volumes it was .01 and less (.03 in small
ones), in volumes with ringing, noise or rounding around the brain .68 and more."""

_THICK = 1.0
"""The same in voxels for each voxel of the surface: smoothing spreads the contents over a background that may be large.
In 96 stripped volumes it was .16 and less, after a Gaussian of half a voxel 1.7 and more."""

_NEGATIVE = 0.25  # of the 99th percentile: contents that are further below 0 have negative values of their own
_LOWEST = 0.1  # percentile that stands for the lowest value where that may be an outlier

_MOST_OF_SURFACE = 0.8
_LEAST_SHARE, _LEAST_EDGE = 0.05, 0.5  # of the volume, and of the edges of its box, that a background has
_ISLAND = 0.01  # of the largest part; smaller ones in a background that is not flat are ripples
_LEAST_NAN = 0.2  # of the edges: more is a background of NaN
_MOST_LOST = 0.1  # of the other volume's contents: stripped by two tools, brains differ by less
_LARGEST_GAP, _GAP_SHARE, _MOST_GAPS = 16, 1e-4, 0.02
"""Gaps inside that are taken as background too: voxels of one, or its share of the contents, and share of them all."""


@dataclass
class Foreground:
    """The foreground of a volume.

    ``values`` is the volume, moved so that its background is exactly 0; ``mask``, bool of the same shape, what is
    foreground, holes included; ``remark`` what was done to a background that is not one value, '' otherwise.
    """

    values: np.ndarray
    mask: np.ndarray
    remark: str = ""


def find_foreground(values: np.ndarray) -> Foreground:
    """Tell the foreground of a stripped volume from its background.

    Background is what is connected to the edges of the volume's box and has one value: 0, or the value that most of the
    edges have if it is the lowest one (a stripped image that was standardised). Voxels of that value inside the
    foreground, such as fluid that is 0, belong to the foreground.

    Where the surroundings are low but not flat (ringing of an interpolation, noise, rounding), background is what is
    connected to the edges and below a small share of the range.

    Args:
        values: X x Y x Z, finite.
    """
    edges = _edges(values.shape)
    level = _level(values, edges)
    moved = values - level if level else values
    exact = _connected(moved == 0, edges)
    ripple = _ripple(moved, edges, exact)
    if ripple:
        wide = _connected(moved <= ripple, edges)
        if wide.mean() >= _LEAST_SHARE and wide[edges].mean() >= _LEAST_EDGE and _is_unclean(wide, exact):
            mask = _without_islands(~wide)
            if mask.any():
                return Foreground(
                    np.where(mask, moved, 0).astype(values.dtype),
                    mask,
                    f"the background is not one value; what is below {ripple + level:.3g} and connected to the edges "
                    "was taken as background; if that is wrong, set the background to 0",
                )
    return Foreground(moved, ~exact)


def second_background(found: Foreground) -> float | None:
    """One value that most of the foreground's surface has, below everything else: a background of two values.

    A border that was added, or a field of view, of another value than the surroundings of the contents. Less the
    background's value; None where there is none.
    """
    if found.mask.all() or found.remark:
        return None
    surface = found.mask & binary_dilation(~found.mask)
    present, counts = np.unique(found.values[surface], return_counts=True)
    if not counts.size or counts.max() < _MOST_OF_SURFACE * counts.sum():
        return None
    usual = present[counts.argmax()]
    flat = found.mask & (found.values == usual)
    rest = found.values[found.mask & ~flat]
    is_low = rest.size and np.count_nonzero(rest < usual) <= 0.01 * rest.size
    return float(usual) if is_low and flat.mean() >= _LEAST_SHARE else None


def high_edges(values: np.ndarray) -> float | None:
    """One value but 0, above three quarters of all others, that most edges of X x Y x Z have: a background that is
    bright.

    Nothing distinguishes it from contents, so that it is not taken as background. None where there is none.
    """
    edges = values[_edges(values.shape)]
    found, counts = np.unique(edges, return_counts=True)
    usual = float(found[counts.argmax()])
    rest = values[values != usual]
    if usual == 0 or not rest.size or counts.max() < _LEAST_EDGE * edges.size:
        return None
    return usual if usual > np.percentile(rest, 75) else None


def clear_nan_outside(source: Source) -> bool:
    """Replace NaN by 0 where it is outside the contents, with a remark; False, and no change, where it is not.

    A part of NaN is outside when it reaches an edge of the volume's box and lies in background: NaN covers a good share
    of the edges, or the part touches background that is not NaN. A program that writes NaN for 0 around the brain does
    so in the brain too: with a background of NaN, gaps of a few voxels are accepted.
    """
    values = source.values
    nan = np.isnan(values)
    if nan.all():
        return False
    edges = _edges(values.shape)
    parts, count = label(nan)
    is_outside = np.zeros(count + 1, bool)
    is_outside[np.unique(parts[edges & nan])] = True
    is_outside[0] = False
    gaps = np.bincount(parts.ravel(), minlength=count + 1)
    gaps[0] = 0
    gaps[is_outside] = 0
    filled = np.where(nan, 0, values)
    if nan[edges].mean() >= _LEAST_NAN:
        contents = np.count_nonzero(~nan)
        accepted = gaps.max() <= max(_LARGEST_GAP, _GAP_SHARE * contents) and gaps.sum() <= _MOST_GAPS * contents
    else:
        background = _connected(~nan & (filled == filled[edges].min()), edges)
        touched = np.unique(parts[binary_dilation(background) & nan])
        accepted = not gaps.any() and touched.size == count
    if not accepted:
        return False
    source.values, source.cleared = filled, nan
    inside = f", {int(gaps.sum())} of them in small gaps inside" if gaps.any() else ""
    source.warnings.append(f"{source.path.name}: {int(nan.sum())} NaN around the contents{inside} were set to 0")
    return True


def refuse_lost_contents(pair: Sequence[Source], masks: Sequence[np.ndarray]) -> None:
    """Refuse NaN that was taken as the surroundings of one of two volumes, but lies where the other has its contents.

    Args:
        pair: both volumes, see :func:`clear_nan_outside`.
        masks: foreground of each, bool; volumes of different shapes are not compared.

    Raises:
        InputError: one line with both files.
    """
    for source, other, contents in ((pair[0], pair[1], masks[1]), (pair[1], pair[0], masks[0])):
        if source.cleared is None or source.cleared.shape != contents.shape:
            continue
        lost = int(np.count_nonzero(source.cleared & contents))
        if lost > _MOST_LOST * np.count_nonzero(contents):
            raise InputError(
                f"{source.path}: {lost} NaN or infinite values where {other.path.name} has its contents; replace them "
                "(for example by 0) and try again."
            )


def _edges(shape: tuple[int, ...]) -> np.ndarray:
    """The twelve edges of a box, bool; the four of a rectangle where an axis has length 1."""
    at_end = [np.isin(np.arange(length), (0, length - 1)) for length in shape]
    count = np.zeros(shape, np.uint8)
    for axis, ends in enumerate(at_end):
        count += ends.reshape([-1 if other == axis else 1 for other in range(len(shape))]).astype(np.uint8)
    return count >= len(shape) - 1


def _connected(candidates: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The parts of a mask that reach an edge.

    Only the box around what is no candidate is searched: everything around it reaches an edge, in a large grid most.
    """
    box, inner = (bounding_box(~candidates, margin) for margin in (0, 1))
    outside = np.ones(candidates.shape, bool)
    outside[box] = False
    parts, count = label(candidates[inner])
    reached = np.zeros(count + 1, bool)
    reached[parts[(edges | outside)[inner] & candidates[inner]]] = True
    outside[inner] = reached[parts]
    return outside


def _level(values: np.ndarray, edges: np.ndarray) -> float:
    """Value of the background."""
    found, counts = np.unique(values[edges], return_counts=True)
    usual = float(found[counts.argmax()])
    if counts.max() >= _LEAST_EDGE * counts.sum():
        # One value that is the lowest of all is background, whatever it is; 0 needs no majority.
        return usual if usual == float(values.min()) else 0.0
    low, high = (float(level) for level in np.percentile(values, [_LOWEST, 99]))
    # A standardised image whose surroundings are noise, or were rounded: negative, low and nearly flat.
    is_flat = np.mean(values[edges] <= low + _RIPPLE * (high - low)) >= _LEAST_EDGE
    return low if low < -_NEGATIVE * abs(high) and is_flat else 0.0


def _ripple(moved: np.ndarray, edges: np.ndarray, exact: np.ndarray) -> float:
    """How high a background may be that is not flat; 0 where the foreground has negative values of its own."""
    contents = moved[~exact]
    if not contents.size:
        return 0.0
    low, high = np.percentile(contents, [1, 99])
    if not high > 0 or low < -_NEGATIVE * high:
        return 0.0
    most = _MOST_RIPPLE * high
    noise = float(np.percentile(moved[edges], 99))
    return float(max(_RIPPLE * high, 1.2 * noise if 1.2 * noise <= most else 0.0))


def _is_unclean(wide: np.ndarray, exact: np.ndarray) -> bool:
    """Whether a good share of a background is not exactly its level, or a thick layer of it around the contents."""
    extra = np.count_nonzero(wide & ~exact)
    if extra > _UNCLEAN * np.count_nonzero(wide):
        return True
    return bool(extra > _THICK * np.count_nonzero(~exact & binary_dilation(exact)))


def _without_islands(mask: np.ndarray) -> np.ndarray:
    """A mask without its small parts and without holes."""
    parts, _ = label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return binary_fill_holes((sizes >= _ISLAND * sizes.max())[parts] & mask)
