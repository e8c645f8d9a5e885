"""The decoder DE of RMR-Fusion: features to an image (paper, "Network Architecture", Fig. 4)."""

import torch
from torch import nn


class FeatureDecoder(nn.Module):
    """Decoder DE of Zhang et al., AAAI 2024, Eq. 2 and 6, shared by both modalities and the fused features.

    Four 3x3x3 convolutions with PReLU, then a 1x1x1 convolution without activation. With the default widths it has
    8,713 parameters.

    Args:
        in_channels: channels of the features.
        width: channels of the layers between.
        depth: number of 3x3x3 convolutions.

    Example:
        >>> FeatureDecoder()(torch.rand(1, 16, 5, 6, 7)).shape
        torch.Size([1, 1, 5, 6, 7])
    """

    def __init__(self, in_channels: int = 16, width: int = 8, depth: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(depth):
            layers += [nn.Conv3d(width if index else in_channels, width, 3, padding=1), nn.PReLU(width)]
        self.layers = nn.Sequential(*layers, nn.Conv3d(width, 1, 1))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """B x in_channels x X x Y x Z -> image B x 1 x X x Y x Z (about [0, 1], not clamped)."""
        return self.layers(features)
