"""Colour of a fused picture, and the luminance of it as saved: what published fusion metrics are computed on."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform

from shared_networks.io.colour import NEUTRAL_CHROMA, rgb_to_ycbcr, stretch_to_8_bit, ycbcr_to_rgb


class FuseColourd(MapTransform):
    """Join fused luminance and chroma to the picture that is saved; the luminance itself stays as it is.

    Args:
        keys: fused luminance, 1 x spatial in [0, 1].
        chroma_key: chroma, 2 x spatial in 0..255, as :class:`LoadFusionPaird` makes it.
        output_key: where the picture goes: 3 x spatial when any chroma differs from neutral, else 1 x spatial,
            float32, clipped to [0, 1] once.
        stretch: follow the released script's output rule, see :func:`stretch_to_8_bit`.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        chroma_key: str = "chroma",
        output_key: str = "fused",
        stretch: bool = False,
    ) -> None:
        super().__init__(keys)
        self.chroma_key = chroma_key
        self.output_key = output_key
        self.stretch = stretch

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with ``output_key`` added."""
        d = dict(data)
        for key in self.key_iterator(d):
            luminance = torch.as_tensor(d[key]).as_subclass(torch.Tensor).float()
            chroma = torch.as_tensor(d[self.chroma_key]).as_subclass(torch.Tensor).to(luminance)
            coloured = bool((chroma != NEUTRAL_CHROMA).any())
            picture = ycbcr_to_rgb(luminance, chroma) if coloured else luminance
            picture = picture.clamp(0.0, 1.0)
            d[self.output_key] = stretch_to_8_bit(picture) if self.stretch else picture
        return d


class PictureLuminanced(MapTransform):
    """Round a picture, 1 or 3 x spatial in [0, 1], to 8 bit and take its BT.601 luminance, 1 x spatial in [0, 1].

    A fused luminance that its chroma drives out of the RGB cube is clipped when the picture (of
    :class:`shared_networks.transforms.FuseColourd`) is saved, so that the saved picture's luminance is another one:
    metrics look at what a user gets.
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
