"""Global refinement module of GeSeNet (Li et al. 2023, Section III-D, Eq. 3 and 8)."""

import torch
from torch import nn

__all__ = ["GlobalRefinement"]


class GlobalRefinement(nn.Module):
    """Refines the mask-optimised features of both branches by the edge-enhanced features of the MRI branch.

    Follows the structure that the released checkpoint fixes: the scale and the shift are both computed from the
    condition (the paper draws two 3x3 convolutions on the mask features instead).

    Args:
        channels: channels of ``x``, the two branches together (64 in the paper).
        condition_channels: channels of the edge-enhanced features (32 in the paper).
    """

    def __init__(self, channels: int = 64, condition_channels: int = 32) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.Conv2d(condition_channels, condition_channels, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(condition_channels, channels, 3, padding=1),
        )
        self.shift = nn.Sequential(
            nn.Conv2d(condition_channels, condition_channels, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(condition_channels, channels, 1),
        )
        self.merge = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.LeakyReLU(0.01))

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """x: B x channels x H x W, condition: B x condition_channels x H x W -> B x channels x H x W."""
        return self.merge(torch.cat([x, self.scale(condition)], dim=1)) + self.shift(condition)
