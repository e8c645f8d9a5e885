"""Fine detail of the images in the fused volume, where they are clean (not in the paper)."""

from collections.abc import Sequence

import torch
from torch import nn

# Brings the difference of the two volumes, a few hundredths, to the size of the other inputs.
_CONTRAST = 10.0


class DetailGate(nn.Module):
    """Blend what the decoder made of the fused features with a weighted sum of the images, voxel by voxel.

    An autoencoder that removes noise removes some fine detail of clean images too. Here a small network sees the fused
    features, the images, the decoded volume and how far that is from the images' sum, and says in each voxel how far
    the images can be trusted. Its convolutions lie in the plane, since slices are often thick. With the default widths
    it has 2,131 parameters.

    Args:
        in_channels: channels of the fused features.
        weights: of the images in their sum when training begins, one for each image; best those that the loss asks for,
            since a gate that closes before the sum is right does not open again.
        width: channels between.

    Example:
        >>> DetailGate()(torch.rand(1, 1, 5, 6, 7), torch.rand(1, 16, 5, 6, 7), torch.rand(1, 2, 5, 6, 7)).shape
        torch.Size([1, 1, 5, 6, 7])
    """

    def __init__(self, in_channels: int = 16, weights: Sequence[float] = (0.5, 0.5), width: int = 8) -> None:
        super().__init__()
        self.mixture = nn.Conv3d(len(weights), 1, 1, bias=False)
        with torch.no_grad():
            self.mixture.weight.copy_(torch.tensor(weights).view_as(self.mixture.weight))
        self.gate = nn.Sequential(
            nn.Conv3d(3 + in_channels + len(weights), width, (3, 3, 1), padding=(1, 1, 0)),
            nn.PReLU(width),
            nn.Conv3d(width, width, (3, 3, 1), padding=(1, 1, 0)),
            nn.PReLU(width),
            nn.Conv3d(width, 1, 1),
        )

    def forward(self, decoded: torch.Tensor, features: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Blend ``decoded``, B x 1 x X x Y x Z, with the weighted sum of N images in [0, 1], B x N x X x Y x Z, N
        ``weights``.

        The result lies between the two.
        """
        mixture = self.mixture(images)
        difference = _CONTRAST * (mixture - decoded)
        seen = torch.cat([decoded, images, difference, difference.abs(), features], dim=1)
        return torch.lerp(decoded, mixture, self.gate(seen).sigmoid())
