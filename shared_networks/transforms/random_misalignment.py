"""A registration that is off: one channel of an image moved at random against the others."""

from collections.abc import Hashable, Mapping
from math import cos, radians, sin
from typing import Any

import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform

from shared_networks.blocks.offset_field import move

__all__ = ["RandMisalignd"]


class RandMisalignd(RandomizableTransform, MapTransform):
    """Shift, rotate and bend one channel of a picture, in one interpolation, and tell the way back.

    Shift and angle are uniform; the bending is a uniform offset at the points of a coarse grid, smooth between them.
    What comes in from outside repeats the border. (MONAI's ``Rand2DElastic`` bends pictures by pixels near their border
    even at a magnitude of 0, and does not tell its offsets.)

    Args:
        keys: one key of pictures, C x H x W.
        offsets_key: where the offsets go, 2 x H x W in pixels along columns and rows: what belongs at ``q`` is found at
            ``q + offsets[q]`` of the moved channel, as :func:`shared_networks.blocks.offset_field.move` takes them. 0
            where nothing was changed.
        probability: of a change at all.
        shift: greatest shift along each axis, in pixels.
        rotation: greatest angle about the centre of the picture, in degrees.
        bending: greatest offset of a point of the coarse grid, in pixels.
        spacing: of the coarse grid, in pixels.
        channel: which one is moved; 1 is the source that is not the MRI.

    Raises:
        ValueError: for a negative strength.
    """

    def __init__(
        self,
        keys: KeysCollection,
        offsets_key: str = "offsets",
        probability: float = 0.5,
        shift: float = 5.0,
        rotation: float = 3.0,
        bending: float = 1.0,
        spacing: int = 32,
        channel: int = 1,
    ) -> None:
        RandomizableTransform.__init__(self, probability)
        MapTransform.__init__(self, keys)
        if min(shift, rotation, bending) < 0:
            raise ValueError(f"strengths must not be negative, got {shift}, {rotation} and {bending}.")
        self.offsets_key = offsets_key
        self.shift, self.rotation, self.bending = shift, rotation, bending
        self.spacing = spacing
        self.channel = channel

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the channel moved and the offsets that move it back."""
        d = dict(data)
        self.randomize(None)
        for key in self.key_iterator(d):
            image = torch.as_tensor(d[key]).clone()
            d[self.offsets_key] = image.new_zeros(2, *image.shape[1:])
            if self._do_transform:
                taken = self._draw(image.shape[1], image.shape[2]).to(image.dtype)
                image[self.channel] = move(image[self.channel][None, None], taken[None])[0, 0]
                d[self.offsets_key] = _inverse(taken)
            d[key] = image
        return d

    def _draw(self, height: int, width: int) -> torch.Tensor:
        """How far away each pixel is taken from, 2 x H x W along columns and rows."""
        shift = self.R.uniform(-self.shift, self.shift, 2)
        angle = radians(self.R.uniform(-self.rotation, self.rotation))
        points = [max(2, round(length / self.spacing) + 1) for length in (height, width)]
        coarse = torch.from_numpy(self.R.uniform(-self.bending, self.bending, (1, 2, *points)))
        bent = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0]
        rows = torch.arange(height)[:, None] - (height - 1) / 2
        columns = torch.arange(width)[None, :] - (width - 1) / 2
        turned = torch.stack(
            [
                (cos(angle) - 1) * columns - sin(angle) * rows,
                sin(angle) * columns + (cos(angle) - 1) * rows,
            ]
        )
        return bent + turned + torch.from_numpy(shift)[:, None, None]


def _inverse(taken: torch.Tensor, steps: int = 4) -> torch.Tensor:
    """Where ``taken`` is how far away each pixel was taken from: how far away it went, by fixed-point iteration.

    A contraction as long as neighbours move alike: 3 degrees and a pixel of bending in 32 leave a tenth of the error
    in each step.
    """
    offsets = -taken
    for _ in range(steps):
        offsets = -move(taken[None], offsets[None])[0]
    return offsets
