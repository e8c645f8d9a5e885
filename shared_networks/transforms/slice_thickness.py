"""Thicker slices at random: what makes a 1 mm volume look like one with 6 mm slices."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import RandomizableTransform, Zoom
from monai.transforms.transform import MapTransform


class RandThickSlicesd(RandomizableTransform, MapTransform):
    """Merge the slices of a volume into fewer and thicker ones, labels included.

    MONAI's ``RandSimulateLowResolutiond`` keeps the grid and treats all axes alike; clinical volumes differ in the
    number and the thickness of their slices. The new thickness is drawn between the volume's own and ``thickest``;
    images
    are averaged over the new slice, labels take the voxel in its middle.

    Args:
        keys: volumes C x X x Y x Z with an affine (MetaTensors), slices along Z.
        prob: probability of the whole.
        thickest: greatest thickness in mm.
        fewest: a volume is not brought below so many slices; one that has no more is left alone.
        modes: ``"area"`` (images) or ``"nearest-exact"`` (labels, masks) for every key.
    """

    def __init__(
        self,
        keys: KeysCollection,
        prob: float = 0.5,
        thickest: float = 8.0,
        fewest: int = 16,
        modes: Sequence[str] = ("area", "nearest-exact", "nearest-exact"),
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.thickest = thickest
        self.fewest = fewest
        self.modes = tuple(modes)
        if len(self.modes) != len(self.keys):
            raise ValueError(f"modes must hold one mode for each of {self.keys}, got {self.modes}.")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the volumes under the keys on one new grid, or as they were."""
        d = dict(data)
        self.randomize(None)
        share = self.R.random_sample()
        if not self._do_transform:
            return d
        reference = d[self.keys[0]]
        count = reference.shape[-1]
        own = float(np.linalg.norm(np.asarray(reference.affine)[:3, 2])) if isinstance(reference, MetaTensor) else 1.0
        slices = round(count * own / (own + share * max(self.thickest - own, 0.0)))
        slices = min(count, max(slices, self.fewest))
        if slices == count:
            return d
        for key, mode in self.key_iterator(d, self.modes):
            # Half a voxel more than exact: Zoom rounds the number of slices down.
            d[key] = Zoom((1.0, 1.0, (slices + 0.5) / count), mode=mode, keep_size=False)(d[key])
        return d
