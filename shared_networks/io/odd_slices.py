"""Slices of a volume that are far brighter or darker than all others, damaged or corrected wrongly.

Bright ones would set the scale that percentiles give to the whole volume.
"""

from dataclasses import dataclass

import numpy as np

from shared_networks.utils.masks import bounding_box

_FEWEST_SLICES = 8  # with contents, along an axis, that say what is usual
_LEAST_SHARE, _MIDDLE_SHARE = 0.02, 0.25
"""Of the contents of the fullest slice: smaller slices are the tips of the contents; next to larger ones, no slice of a
brain is dark."""
_TIMES = 1.7
"""How far the level of a slice is from the usual one, and from those of the next slices. In 40 stripped volumes of the
brain no slice had more than 1.42 times the usual level, and next slices differ by far less."""
_MOST = 0.1  # of the slices; more are no exception
_LEVELS = (50.0, 95.0)  # percentiles of a slice's contents; a large lesion is bright in the second one alone
_SAMPLES = 20_000  # voxels of a slice that are looked at


@dataclass(frozen=True)
class OddSlices:
    """Numbers of slices, from 0, along an axis; ``kind`` is ``"brighter"`` or ``"darker"`` (also without contents)."""

    axis: int
    numbers: tuple[int, ...]
    kind: str


def odd_slices(values: np.ndarray, mask: np.ndarray) -> list[OddSlices]:
    """Slices that differ from all others by their levels, the median and the 95th percentile of their contents.

    A slice is such a one when both levels are 1.7 times the usual ones along that axis or less than these by that
    factor, when they differ as much from those of the next slices, and when it is one of few. Where the contents begin
    and end they may be dark. A single slice, or a stack of few, has none.

    Args:
        values: X x Y x Z, finite, background 0.
        mask: contents, bool of the same shape.
    """
    found = []
    box = bounding_box(mask)
    values, mask = values[box], mask[box]
    for axis in range(values.ndim):
        if min(np.delete(values.shape, axis)) < _FEWEST_SLICES:
            continue  # what crosses this axis are lines of a few slices
        for kind, places in _along(np.moveaxis(values, axis, 0), np.moveaxis(mask, axis, 0)).items():
            numbers = tuple(int(place) + box[axis].start for place in places)
            found += [OddSlices(axis, numbers, kind)] if numbers else []
    return found


def _along(values: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    counts = np.array([np.count_nonzero(part) for part in mask])
    full = np.flatnonzero(counts >= max(1.0, _LEAST_SHARE * counts.max()))
    if full.size < _FEWEST_SLICES:
        return {}
    between = np.arange(full[0], full[-1] + 1)
    levels = np.array([_levels(values[number][mask[number]]) if number in full else [0.0, 0.0] for number in between])
    usual = np.median(levels, axis=0)
    if usual.min() <= 0:
        return {}
    middle = np.flatnonzero(counts[between] >= _MIDDLE_SHARE * counts.max())
    middle = slice(middle[0], middle[-1] + 1)
    relative = levels / usual
    brightness, darkness = relative.min(axis=1), 1 / np.maximum(relative.max(axis=1), 1e-3)
    dark = darkness[middle] > _TIMES
    # Air above the head, where the background is not 0.
    ends = np.minimum.accumulate(dark) | np.minimum.accumulate(dark[::-1])[::-1]
    return {
        "brighter": _abrupt(between, brightness, brightness > _TIMES),
        "darker": _abrupt(between[middle], darkness[middle], dark & ~ends),
    }


def _abrupt(numbers: np.ndarray, levels: np.ndarray, is_odd: np.ndarray) -> np.ndarray:
    """The numbers of the odd ones, none where they are many or one of them differs little from the next good slice."""
    if is_odd.sum() > max(1.0, _MOST * numbers.size):
        return numbers[:0]
    for place in np.flatnonzero(is_odd):
        beside = [other for other in (place - 1, place + 1) if 0 <= other < numbers.size and not is_odd[other]]
        if any(levels[place] <= _TIMES * levels[other] for other in beside):
            return numbers[:0]
    return numbers[is_odd]


def _levels(contents: np.ndarray) -> np.ndarray:
    return np.percentile(contents[:: max(1, contents.size // _SAMPLES)], _LEVELS)
