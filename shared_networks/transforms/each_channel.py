"""Random intensity changes that are drawn for every channel by itself."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import Compose, MapTransform, Randomizable


class RandEachChanneld(Randomizable, MapTransform):
    """Apply array transforms, in this order, to every channel of an image C x spatial by itself.

    MONAI's random intensity transforms draw once and change all channels alike. Two modalities come from two sequences
    with contrasts and bias fields of their own, so that a network that is to know other scanners must see them change
    independently. What lies outside the mask (``mask_key``, 1 x spatial; '' for none) is 0 afterwards, the rest is
    clipped to ``value_range`` (None for nothing).
    """

    def __init__(
        self,
        keys: KeysCollection,
        transforms: Sequence[Callable],
        mask_key: str = "",
        value_range: Sequence[float] | None = (0.0, 1.0),
    ) -> None:
        MapTransform.__init__(self, keys)
        self.transform = Compose(list(transforms))
        self.mask_key = mask_key
        self.value_range = value_range

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> "RandEachChanneld":
        """Pass the state on to the transforms."""
        super().set_random_state(seed, state)
        self.transform.set_random_state(seed, state)
        return self

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the images changed."""
        d = dict(data)
        for key in self.key_iterator(d):
            image = torch.cat([self.transform(channel) for channel in torch.as_tensor(d[key]).split(1)])
            if self.value_range is not None:
                image = image.clamp(*self.value_range)
            if self.mask_key:
                image = image * (d[self.mask_key] > 0)
            d[key] = image
        return d
