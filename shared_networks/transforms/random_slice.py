"""Draw one slice of a volume, so that a network for pictures can be trained on volumes."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable

__all__ = ["RandSliced"]


class RandSliced(Randomizable, MapTransform):
    """Replace a volume by one of its slices; pictures stay as they are.

    A slice is drawn with a probability proportional to the number of its pixels where any channel is above 0, so that
    empty slices at the ends are never drawn; of a volume that is 0 everywhere each one is as likely.

    Args:
        keys: images, C x X x Y x Z or C x H x W; volumes of one item must have the same size, and give the same slice.
        spatial_axis: axis that the slices are counted along: 0, 1 or 2.

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
        others = [axis for axis in range(3) if axis != self.spatial_axis]
        occupied = (volume > 0).any(dim=0).sum(dim=others).cpu().double().numpy()
        total = occupied.sum()
        self._index = int(self.R.choice(len(occupied), p=occupied / total if total else None))

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with slices in the place of volumes."""
        d = dict(data)
        volumes = [key for key in self.key_iterator(d) if d[key].ndim == 4]
        if volumes:
            self.randomize(d[volumes[0]])
        for key in volumes:
            d[key] = d[key].select(1 + self.spatial_axis, self._index)
        return d
