"""Separate the fused image from the principal masks that the network returned with it."""

from collections.abc import Hashable, Mapping
from typing import Any

from monai.config import KeysCollection
from monai.transforms import MapTransform


class SplitMasksd(MapTransform):
    """Leave the fused luminance alone under its key and put the masks under another one.

    Args:
        keys: network output, 3 x spatial (fused, mask of the MRI branch, mask of the other branch) or 1 x spatial.
        masks_key: where the two masks go, 2 x spatial; not set when the network returned no masks.
    """

    def __init__(self, keys: KeysCollection = "pred", masks_key: str = "masks") -> None:
        super().__init__(keys)
        self.masks_key = masks_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with one channel under the key and the masks, if any, under ``masks_key``."""
        d = dict(data)
        for key in self.key_iterator(d):
            output = d[key]
            if output.shape[0] > 1:
                d[self.masks_key] = output[1:]
            d[key] = output[:1]
        return d
