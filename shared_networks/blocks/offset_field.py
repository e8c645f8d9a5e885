"""A small field of offsets between two pictures of one slice, and how it moves the second one."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["OffsetField", "move"]


def move(picture: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Take every pixel from where its offset points to, bilinear; outside, the border repeats.

    Args:
        picture: B x C x H x W.
        offsets: B x 2 x H x W in pixels: to higher columns, to higher rows.

    Returns:
        B x C x H x W.
    """
    height, width = picture.shape[2], picture.shape[3]
    columns = torch.arange(width, device=picture.device, dtype=picture.dtype)
    rows = torch.arange(height, device=picture.device, dtype=picture.dtype)
    x = (2.0 * (columns[None, None] + offsets[:, 0]) + 1.0) / width - 1.0
    y = (2.0 * (rows[None, :, None] + offsets[:, 1]) + 1.0) / height - 1.0
    grid = torch.stack([x, y], dim=3)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU(0.2))


class OffsetField(nn.Module):
    """Where the second picture's pixels have to come from so that it lies on the first one.

    Features of a quarter of the resolution, from an encoder for each modality, are correlated for all shifts up to
    ``radius`` cells of 4 pixels; a small pyramid (1/4 to 1/32) turns correlations into a smooth field of 1/8 of the
    resolution. This is done ``rounds`` times with the same weights, each time on the second picture as moved so far, so
    that the last rounds see small offsets. Not in the paper.

    The default has 75,170 parameters.

    Args:
        radius: of the search, in cells of 4 pixels.
        rounds: number of estimates that are added up.
        channels: of the features.
        width: channels of the pyramid.
        dead_zone: offsets of this many pixels and less hardly count (``d - dead_zone * tanh(d / dead_zone)``), so that
            a pair that is aligned is not blurred by interpolation.
    """

    def __init__(
        self, radius: int = 3, rounds: int = 2, channels: int = 16, width: int = 32, dead_zone: float = 0.0
    ) -> None:
        super().__init__()
        self.radius = radius
        self.rounds = rounds
        self.dead_zone = dead_zone
        self.mri = self._encoder(channels)
        self.other = self._encoder(channels)
        self.quarter = _convolution((2 * radius + 1) ** 2 + channels, width)
        self.eighth = _convolution(width, width, 2)
        self.sixteenth = _convolution(width, width, 2)
        self.thirty_second = _convolution(width, width, 2)
        self.from_thirty_second = _convolution(width, width)
        self.from_sixteenth = _convolution(width, width)
        self.offsets = nn.Conv2d(width, 2, 3, padding=1)
        nn.init.normal_(self.offsets.weight, std=0.01)
        nn.init.zeros_(self.offsets.bias)

    @staticmethod
    def _encoder(channels: int) -> nn.Sequential:
        return nn.Sequential(
            _convolution(1, channels, 2),
            _convolution(channels, channels, 2),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """image: B x 2 x H x W in [0, 1] -> offsets for :func:`move`, B x 2 x H x W in pixels."""
        first = F.normalize(self.mri(image[:, 0:1]), dim=1)
        offsets = torch.zeros_like(image)
        for _ in range(self.rounds):
            second = F.normalize(self.other(move(image[:, 1:2], offsets)), dim=1)
            field = self._estimate(first, second)
            offsets = offsets + F.interpolate(
                field, size=(image.shape[2], image.shape[3]), mode="bilinear", align_corners=False
            )
        if self.dead_zone > 0:
            offsets = offsets - self.dead_zone * torch.tanh(offsets / self.dead_zone)
        return offsets

    def _estimate(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Features of both, B x C x h x w at 1/4 -> B x 2 offsets at 1/8, in pixels."""
        height, width, radius = first.shape[2], first.shape[3], self.radius
        wide = F.pad(second, [radius, radius, radius, radius])
        seen: list[torch.Tensor] = []
        for row in range(2 * radius + 1):
            for column in range(2 * radius + 1):
                shifted = wide[:, :, row : row + height, column : column + width]
                seen.append((first * shifted).sum(dim=1, keepdim=True))
        seen.append(first)
        quarter = self.quarter(torch.cat(seen, dim=1))
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        coarse = self.from_thirty_second(self._to(self.thirty_second(sixteenth), sixteenth) + sixteenth)
        fine = self.from_sixteenth(self._to(coarse, eighth) + eighth)
        return 4.0 * self.offsets(fine)

    @staticmethod
    def _to(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, size=(like.shape[2], like.shape[3]), mode="bilinear", align_corners=False)
