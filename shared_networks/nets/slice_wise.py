"""A fusion network for pictures, applied to the axial slices of volumes."""

import torch
from torch import nn

__all__ = ["SliceWiseFusion"]


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
