"""Take the one tensor that RMR-Fusion's network returns apart."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

__all__ = ["SplitSegmentationd"]


class SplitSegmentationd(MapTransform):
    """Leave the label map under its key and put the fused volume under another one.

    The last channel is the fused volume F, the others are the logits S of the classes (Eq. 6).

    Args:
        keys: network output, (J + 1) x X x Y x Z.
        fused_key: where the fused volume goes, 1 x X x Y x Z, clamped to [0, 1].

    The label map is 1 x X x Y x Z, uint8, the class with the largest logit. Both keep the meta data of the output.
    """

    def __init__(self, keys: KeysCollection = "pred", fused_key: str = "fused") -> None:
        super().__init__(keys)
        self.fused_key = fused_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the label map under the key and the fused volume under ``fused_key``."""
        d = dict(data)
        for key in self.key_iterator(d):
            output = d[key]
            d[self.fused_key] = output[-1:].float().clamp(0.0, 1.0)
            d[key] = output[:-1].argmax(dim=0, keepdim=True).to(torch.uint8)
        return d
