"""A registration that is off: one channel of an image moved at random against the others."""

from collections.abc import Hashable, Mapping
from math import cos, radians, sin
from typing import Any

import torch
import torch.nn.functional as F
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform


class RandMisalignd(RandomizableTransform, MapTransform):
    """Shift, rotate and bend one channel of a picture, in one interpolation.

    Shift and angle are uniform; the bending is a uniform offset at the points of a coarse grid, smooth between them.
    What comes in from outside repeats the border. (MONAI's ``Rand2DElastic`` bends pictures by pixels near their border
    even at a magnitude of 0.)

    Args:
        keys: one key of pictures, C x H x W.
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
        self.shift, self.rotation, self.bending = shift, rotation, bending
        self.spacing = spacing
        self.channel = channel

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the channel moved."""
        d = dict(data)
        self.randomize(None)
        for key in self.key_iterator(d):
            image = torch.as_tensor(d[key]).clone()
            if self._do_transform:
                taken = self._draw(image.shape[1], image.shape[2]).to(image.dtype)
                image[self.channel] = _take(image[self.channel], taken)
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
            [(cos(angle) - 1) * columns - sin(angle) * rows, sin(angle) * columns + (cos(angle) - 1) * rows]
        )
        return bent + turned + torch.from_numpy(shift)[:, None, None]


def _take(picture: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Every pixel of H x W from ``offsets`` (2 x H x W) columns and rows away, bilinear; the border repeats."""
    height, width = picture.shape
    x = (2.0 * (torch.arange(width) + offsets[0]) + 1.0) / width - 1.0
    y = (2.0 * (torch.arange(height)[:, None] + offsets[1]) + 1.0) / height - 1.0
    grid = torch.stack([x, y], dim=2)[None]
    return F.grid_sample(picture[None, None], grid, padding_mode="border", align_corners=False)[0, 0]
