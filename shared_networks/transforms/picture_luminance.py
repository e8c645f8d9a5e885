"""The luminance of a picture as it is saved: what published fusion metrics are computed on."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from shared_networks.transforms.colour import rgb_to_ycbcr

__all__ = ["PictureLuminanced"]


class PictureLuminanced(MapTransform):
    """Round a picture to 8 bit and take its BT.601 luminance.

    A fused luminance that its chroma drives out of the RGB cube is clipped when the picture is saved, so that the
    saved picture's luminance is another one: metrics look at what a user gets.

    Args:
        keys: picture, 1 or 3 x spatial in [0, 1], as :class:`shared_networks.transforms.FuseColourd` makes it.
        output_key: where the luminance goes, 1 x spatial in [0, 1].
    """

    def __init__(self, keys: KeysCollection = "fused", output_key: str = "pred") -> None:
        super().__init__(keys)
        self.output_key = output_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the luminance under ``output_key``."""
        d = dict(data)
        for key in self.key_iterator(d):
            picture = torch.round(d[key] * 255.0) / 255.0
            d[self.output_key] = rgb_to_ycbcr(picture)[0] if picture.shape[0] == 3 else picture
        return d
