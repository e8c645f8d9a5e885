"""Fusion without parameters, the rivals that every learned fusion has to beat; and networks for pictures on volumes."""

import torch
import torch.nn.functional as F
from torch import nn


class AverageFusion(nn.Module):
    """Mean of the two sources.

    Example:
        >>> AverageFusion()(torch.rand(1, 2, 33, 47)).shape
        torch.Size([1, 1, 33, 47])
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x spatial in [0, 1] -> B x 1 x spatial in [0, 1]."""
        return image.mean(dim=1, keepdim=True)


class MaximumFusion(nn.Module):
    """The brighter of the two sources, pixel by pixel.

    Example:
        >>> MaximumFusion()(torch.rand(1, 2, 33, 47)).shape
        torch.Size([1, 1, 33, 47])
    """

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x spatial in [0, 1] -> B x 1 x spatial in [0, 1]."""
        return image.amax(dim=1, keepdim=True)


class SourceAlone(nn.Module):
    """One of the two sources, unchanged: what fusion has to add something to.

    Args:
        channel: which one.

    Example:
        >>> SourceAlone(channel=1)(torch.rand(1, 2, 33, 47)).shape
        torch.Size([1, 1, 33, 47])
    """

    def __init__(self, channel: int = 0) -> None:
        super().__init__()
        self.channel = channel

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x spatial in [0, 1] -> B x 1 x spatial in [0, 1]."""
        return image[:, self.channel : self.channel + 1]


class LaplacianPyramidFusion(nn.Module):
    """Fuse the Laplacian pyramids of the two sources (Burt and Adelson, IEEE Trans. Commun. 1983).

    Every detail level takes the coefficient of larger magnitude, the coarsest level takes the mean; the fused pyramid
    is expanded and clamped to [0, 1]. The generating kernel is the paper's for a = 0.375, (1, 4, 6, 4, 1) / 16.

    Args:
        levels: number of detail levels; the coarsest level is 2^levels times smaller than the image.

    Raises:
        ValueError: when ``levels`` is less than 1.

    Example:
        >>> LaplacianPyramidFusion()(torch.rand(1, 2, 33, 47)).shape
        torch.Size([1, 1, 33, 47])
    """

    kernel: torch.Tensor

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}.")
        self.levels = levels
        row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("kernel", torch.outer(row, row)[None, None].repeat(2, 1, 1, 1), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x H x W in [0, 1] -> B x 1 x H x W in [0, 1], any H and W."""
        details: list[torch.Tensor] = []
        coarse = image
        for _ in range(self.levels):
            finer = coarse
            coarse = self._reduce(finer)
            detail = finer - self._expand(coarse, finer.shape[2], finer.shape[3])
            first, second = detail[:, 0:1], detail[:, 1:2]
            details.append(torch.where(first.abs() >= second.abs(), first, second))
        fused = coarse.mean(dim=1, keepdim=True)
        for level in range(self.levels - 1, -1, -1):
            detail = details[level]
            fused = self._expand(fused, detail.shape[2], detail.shape[3]) + detail
        return fused.clamp(0.0, 1.0)

    def _reduce(self, images: torch.Tensor) -> torch.Tensor:
        padded = F.pad(images, [2, 2, 2, 2], mode="replicate")
        return F.conv2d(padded, self.kernel[: images.shape[1]], stride=2, groups=images.shape[1])

    def _expand(self, images: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Put the pixels on every second place of a H x W grid and interpolate; a constant stays that constant."""
        channels = images.shape[1]
        spread = images.new_zeros([images.shape[0], channels, height, width])
        spread[:, :, ::2, ::2] = images
        places = images.new_zeros([1, 1, height, width])
        places[:, :, ::2, ::2] = 1.0
        values = F.conv2d(spread, self.kernel[:channels], padding=2, groups=channels)
        # In the interior the weights are 1/4; at the border the kernel reaches over it.
        return values / F.conv2d(places, self.kernel[:1], padding=2)


class SliceWiseFusion(nn.Module):
    """Fuse a volume slice by slice along its last axis.

    Args:
        network: B x 2 x H x W -> B x 1 x H x W.
        slices_at_once: slices in one call of it.

    Example:
        >>> SliceWiseFusion(MaximumFusion())(torch.rand(1, 2, 33, 47, 5)).shape
        torch.Size([1, 1, 33, 47, 5])
    """

    def __init__(self, network: nn.Module, slices_at_once: int = 8) -> None:
        super().__init__()
        self.network = network
        self.slices_at_once = slices_at_once

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x X x Y x Z in [0, 1] -> B x 1 x X x Y x Z."""
        slices = image.permute(0, 4, 1, 2, 3).flatten(0, 1)
        fused = torch.cat([self.network(part) for part in slices.split(self.slices_at_once)])
        return fused.unflatten(0, (image.shape[0], image.shape[4])).permute(0, 2, 3, 4, 1)
