"""One slice of a volume, so that a network for pictures can be trained and validated on volumes."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

from shared_networks.utils.slice_axis import slice_axis


class RandSliced(Randomizable, MapTransform):
    """Replace a volume by one of its slices; pictures stay as they are.

    A slice is drawn with a probability proportional to the number of its pixels where any channel is above 0, so that
    empty slices at the ends are never drawn; of a volume that is 0 everywhere each one is as likely.

    Args:
        keys: images, C x X x Y x Z or C x H x W; volumes of one item must have the same size, and give the same slice.
        spatial_axis: axis that the slices are counted along: 0, 1 or 2; a single slice along another one is that slice.

    Raises:
        ValueError: when ``spatial_axis`` is not 0, 1 or 2.
    """

    def __init__(self, keys: KeysCollection, spatial_axis: int = 2) -> None:
        super().__init__(keys)
        if spatial_axis not in (0, 1, 2):
            raise ValueError(f"spatial_axis must be 0, 1 or 2, got {spatial_axis!r}.")
        self.spatial_axis = spatial_axis
        self._index = 0

    def randomize(self, volume: torch.Tensor) -> None:
        """Draw the slice, by the contents of the first volume."""
        occupied = _occupied(volume, slice_axis(volume.shape[1:], self.spatial_axis))
        total = occupied.sum()
        self._index = int(self.R.choice(len(occupied), p=occupied / total if total else None))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with slices in the place of volumes."""
        d = dict(data)
        volumes = [key for key in self.key_iterator(d) if d[key].ndim == 4]
        if volumes:
            self.randomize(d[volumes[0]])
        for key in volumes:
            d[key] = d[key].select(1 + slice_axis(d[key].shape[1:], self.spatial_axis), self._index)
        return d


class TakeSliced(MapTransform):
    """Replace a volume by the slice at a given share of its contents; pictures stay as they are.

    Args:
        keys: images, C x X x Y x Z or C x H x W.
        spatial_axis: axis that the slices are counted along: 0, 1 or 2.
        share_key: where an item says which slice: the share, in [0, 1], of all pixels with any channel above 0 that
            lies before it or in it. Without it, half.

    Raises:
        ValueError: when ``spatial_axis`` is not 0, 1 or 2.
    """

    def __init__(self, keys: KeysCollection, spatial_axis: int = 2, share_key: str = "slice_share") -> None:
        super().__init__(keys)
        if spatial_axis not in (0, 1, 2):
            raise ValueError(f"spatial_axis must be 0, 1 or 2, got {spatial_axis!r}.")
        self.spatial_axis = spatial_axis
        self.share_key = share_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with a slice in the place of each volume."""
        d = dict(data)
        for key in self.key_iterator(d):
            if d[key].ndim == 4:
                axis = slice_axis(d[key].shape[1:], self.spatial_axis)
                passed = np.cumsum(_occupied(d[key], axis))
                index = int(np.searchsorted(passed, float(d.get(self.share_key, 0.5)) * passed[-1]))
                d[key] = d[key].select(1 + axis, min(index, len(passed) - 1))
        return d


def _occupied(volume: torch.Tensor, spatial_axis: int) -> np.ndarray:
    """Number of pixels of each slice where any channel is above 0."""
    others = [axis for axis in range(3) if axis != spatial_axis]
    return (volume > 0).any(dim=0).sum(dim=others).cpu().double().numpy()
