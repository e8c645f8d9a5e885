"""Parts of the bilateral attention decoder (Peng et al. 2021): two attention branches and the block that fuses them."""

import torch
import torch.nn.functional as F
from torch import nn


class ChannelAttention(nn.Module):
    """Refine high-level maps: every channel is weighted by what it holds over the whole picture.

    Global average, a bottleneck of two 1x1 convolutions (narrower by ``reduction``), sigmoid; times the input, plus the
    input, so that no channel is lost before the weights have been learnt.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.weights = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x channels x H x W -> the same shape."""
        return x * self.weights(x) + x


class SpatialAttention(nn.Module):
    """Refine low-level maps: every position is weighted by what all channels hold there and around it.

    Mean and maximum over the channels, a convolution (``kernel_size`` odd), sigmoid; times the input, plus the input.
    """

    def __init__(self, kernel_size: int = 7) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}.")
        self.convolution = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x C x H x W -> the same shape."""
        summary = torch.cat([x.mean(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.convolution(summary)) + x


class PoolingFusing(nn.Module):
    """Pooling fusing block: joins refined high- and low-level maps on the grid of the low-level ones.

    The sum of both is given twice to a 3x3 convolution: as it is (detail) and averaged over 3x3 windows (the context
    that the high-level maps state and that upsampling spreads unevenly).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pooling = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.fuse = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )

    def forward(self, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """high: B x C x h x w, low: B x C x H x W -> B x C x H x W."""
        size = [low.shape[2], low.shape[3]]
        joined = F.interpolate(high, size=size, mode="bilinear", align_corners=False) + low
        return self.fuse(torch.cat([joined, self.pooling(joined)], dim=1))


class BilateralAttentionFusion(nn.Module):
    """One step of the decoder: channel attention on the deeper maps, spatial attention on the shallower ones, fusing.

    The paper fixes the three parts and their order; widths and the inside of each part are ours.
    """

    def __init__(self, high_channels: int, low_channels: int, channels: int) -> None:
        super().__init__()
        self.high = nn.Sequential(
            ChannelAttention(high_channels),
            nn.Conv2d(high_channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.low = nn.Sequential(
            SpatialAttention(), nn.Conv2d(low_channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )
        self.fusing = PoolingFusing(channels)

    def forward(self, high: torch.Tensor, low: torch.Tensor) -> torch.Tensor:
        """high: B x high_channels x h x w, low: B x low_channels x H x W -> B x channels x H x W."""
        return self.fusing(self.high(high), self.low(low))
