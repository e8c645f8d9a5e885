"""Shift the second picture of a pair onto the first one, where that is clearly needed."""

from collections.abc import Hashable, Mapping, Sequence
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from scipy import ndimage

from shared_networks.errors import join_remarks
from shared_networks.io.colour import NEUTRAL_CHROMA

_BINS = 64
_LEAST_INFORMATION = 0.02
"""Normalised mutual information, above its 1, of two pictures with something in common: 0.04 to 0.33 in 90 pairs of
CT and MRI, with noise too; below 0.002 for pictures of independent noise, where a relative gain means nothing."""
_CHROMA_OF_GREY = 2.0
"""Largest distance of chroma from neutral, on 0..255, of a picture that counts as grey."""


def normalised_mutual_information(first: np.ndarray, second: np.ndarray, bins: int = _BINS) -> float:
    """(H(A) + H(B)) / H(A, B) of two pictures (Studholme et al., Pattern Recognition 1999).

    Both hold integers from 0 to ``bins`` - 1 in any shape that is not empty. 1 for independent pictures and where a
    picture is constant, 2 where each determines the other.
    """
    joint = np.bincount((first * bins + second).ravel(), minlength=bins * bins).reshape(bins, bins) / first.size

    def entropy(shares: np.ndarray) -> float:
        shares = shares[shares > 0]
        return float(-(shares * np.log(shares)).sum())

    together = entropy(joint)
    return (entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0))) / together if together > 0 else 1.0


def find_shift(first: np.ndarray, second: np.ndarray, largest: int = 6) -> tuple[tuple[int, int], float]:
    """Whole pixels (rows, columns) by which ``second`` has to move, and how much that gains a pixel.

    All shifts, and some that are larger, are tried on pictures of half the size, those around the best one in full
    size, with slightly blurred values in 64 steps of each picture's range.

    Args:
        first: H x W, any range.
        second: the same.
        largest: pixels along one axis.

    Returns:
        The shift, and its gain: the share by which the normalised mutual information, above its 1 of independent
        pictures, exceeds that without a shift, divided by the length of the shift: pictures that are really off gain
        with every pixel, others little by much. (0, 0) and 0 where nothing is better than no shift, where the best
        one is a single pixel (neither the search nor the registration of an atlas is surer than that) or more than
        ``largest`` (a maximum at the end of a search need not be one), where a picture is smaller than eight times
        ``largest``, and where the two have nothing in common.
    """
    nothing = (0, 0), 0.0
    if min(first.shape) < 8 * largest:
        return nothing
    reach = -(-largest // 2) + 1
    steps = range(-reach, reach + 1)
    row, column = _best(_half(first), _half(second), [(row, column) for row in steps for column in steps])[0]
    near = [(2 * row + down, 2 * column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    shift, information, without = _best(first, second, near)
    if not 1 < max(map(abs, shift)) <= largest or information < 1.0 + _LEAST_INFORMATION or information <= without:
        return nothing
    return shift, ((information - 1.0) / max(without - 1.0, 1e-6) - 1.0) / hypot(*shift)


def _half(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[0] // 2, picture.shape[1] // 2
    return picture[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))


def _levels(picture: np.ndarray) -> np.ndarray:
    """Numbers 0..63 of the blurred picture's values between its lowest and its highest one."""
    blurred = ndimage.gaussian_filter(picture, 1.5)
    lowest = blurred.min()
    span = blurred.max() - lowest
    if not span > 0:
        return np.zeros(picture.shape, np.intp)
    return np.minimum((blurred - lowest) * (_BINS / span), _BINS - 1).astype(np.intp)


def _best(
    first: np.ndarray, second: np.ndarray, shifts: Sequence[tuple[int, int]]
) -> tuple[tuple[int, int], float, float]:
    """The best of these shifts, its information, and that without a shift; one part of ``first`` counts for all."""
    levels = [_levels(picture) for picture in (first, second)]
    margin = max(abs(pixels) for shift in shifts for pixels in shift)
    rows, columns = (side - 2 * margin for side in first.shape)
    inner = levels[0][margin : margin + rows, margin : margin + columns]

    def information(shift: tuple[int, int]) -> float:
        row, column = margin - shift[0], margin - shift[1]
        return normalised_mutual_information(inner, levels[1][row : row + rows, column : column + columns])

    values = {shift: information(shift) for shift in shifts}
    best = max(values, key=lambda shift: values[shift])
    return best, values[best], values[(0, 0)] if (0, 0) in values else information((0, 0))


class AlignPicturesd(MapTransform):
    """Move the second of two grey pictures by whole pixels when it clearly does not lie on the first one.

    A small, local network cannot know where an edge belongs that it sees twice; mutual information finds the shift of a
    CT or MR slice within a pixel. PET and SPECT (a colour-coded picture, or one whose item says so) are left as they
    are: so blurred that a few pixels hardly count, they share most information with an MRI elsewhere. So are volumes,
    for which there is registration. Rotations and larger shifts stay.

    Args:
        keys: pairs, 2 x H x W; others are left as they are.
        chroma_key: where the chroma is, 2 x spatial in 0..255; without it a pair counts as grey.
        modality_key: where an item says what the second picture is, if it does.
        warning_key: where warnings are, one string; a shift is added to them.
        largest_shift: pixels along one axis.
        least_gain: gain a pixel (:func:`find_shift`) from which the picture is moved; 90 training pairs of CT and MRI
            stay below it as they are.
        left_alone: modalities that are not moved.

    Raises:
        ValueError: when ``largest_shift`` or ``least_gain`` is not positive.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        chroma_key: str = "chroma",
        modality_key: str = "modality",
        warning_key: str = "warning",
        largest_shift: int = 6,
        least_gain: float = 0.021,
        left_alone: Sequence[str] = ("PET", "SPECT"),
    ) -> None:
        super().__init__(keys)
        if largest_shift < 1 or not least_gain > 0:
            raise ValueError(f"largest_shift and least_gain must be positive, got {largest_shift} and {least_gain}.")
        self.chroma_key, self.modality_key, self.warning_key = chroma_key, modality_key, warning_key
        self.largest_shift, self.least_gain = largest_shift, least_gain
        self.left_alone = tuple(left_alone)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the second picture moved, or as it was; its border fills what comes in from outside."""
        d = dict(data)
        d.setdefault(self.warning_key, "")
        if str(d.get(self.modality_key) or "").upper() in self.left_alone or self._is_coloured(d):
            return d
        for key in self.key_iterator(d):
            pair = d[key]
            if pair.ndim != 3:
                continue
            shift, gain = find_shift(*np.asarray(pair, dtype=np.float32), self.largest_shift)
            if gain < self.least_gain:
                continue
            rows, columns = (
                (torch.arange(side) - pixels).clamp(0, side - 1)
                for side, pixels in zip(pair.shape[1:], shift, strict=True)
            )
            d[key] = pair.clone()
            d[key][1] = pair[1][rows][:, columns]
            name = Path(getattr(pair, "meta", {}).get("other_filename", "")).name or "the second picture"
            remark = f"{name}: moved by {shift[0]} rows and {shift[1]} columns onto the MRI (align_pictures)"
            d[self.warning_key] = join_remarks(d[self.warning_key], remark)
        return d

    def _is_coloured(self, d: Mapping[Hashable, Any]) -> bool:
        chroma = d.get(self.chroma_key)
        return chroma is not None and bool((torch.as_tensor(chroma) - NEUTRAL_CHROMA).abs().max() > _CHROMA_OF_GREY)
