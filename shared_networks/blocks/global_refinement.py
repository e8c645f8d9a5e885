"""Global refinement module of GeSeNet (Li et al. 2023, Section III-D, Eq. 3 and 8)."""

import torch
from torch import nn

from shared_networks.blocks.concatenated_convolution import convolve_concatenation


class GlobalRefinement(nn.Module):
    """Refines the mask-optimised features of both branches by the edge-enhanced features of the MRI branch.

    Follows the structure that the released checkpoint fixes: the scale and the shift are both computed from the
    condition (the paper draws two 3x3 convolutions on the mask features instead). The paper has 64 ``channels``, the
    two branches together, and 32 ``condition_channels``.
    """

    def __init__(self, channels: int = 64, condition_channels: int = 32) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.Conv2d(condition_channels, condition_channels, 3, padding=1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(condition_channels, channels, 3, padding=1),
        )
        self.shift = nn.Sequential(
            nn.Conv2d(condition_channels, condition_channels, 1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(condition_channels, channels, 1),
        )
        self.merge = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.LeakyReLU(0.01, inplace=True))

    def forward(self, x: list[torch.Tensor], condition: torch.Tensor) -> torch.Tensor:
        """Refine the concatenation of parts B x C_k x H x W by a condition B x condition_channels x H x W -> B x
        channels x H x W.
        """
        parts = list(x)
        parts.append(self.scale(condition))
        merged = convolve_concatenation(parts, self.merge[0].weight, self.merge[0].bias)
        return self.merge[1](merged) + self.shift(condition)
