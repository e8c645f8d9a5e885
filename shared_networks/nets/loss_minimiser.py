"""The volume that a fusion loss itself asks for, without a network: the best that one trained with it can reach."""

import torch
from torch import nn

from shared_networks.losses import VisualFusionLoss

__all__ = ["VisualFusionMinimiser"]


class VisualFusionMinimiser(nn.Module):
    """Minimise the visual fusion loss of RMR-Fusion (AAAI 2024, Eq. 7) over the voxels of the fused volume.

    Adam starts at the second modality (T2-FLAIR), which is the minimiser of the first term, with a rate that falls
    linearly to 0. It has no parameters and learns nothing; each volume is optimised anew.

    Args:
        delta: weight of the gradient term of Eq. 7.
        steps: optimiser steps.
        rate: first learning rate, in intensity.

    Example:
        >>> VisualFusionMinimiser(steps=2)(torch.rand(1, 2, 9, 8, 7)).shape
        torch.Size([1, 1, 9, 8, 7])
    """

    def __init__(self, delta: float = 0.08, steps: int = 120, rate: float = 0.01) -> None:
        super().__init__()
        self.loss = VisualFusionLoss(delta)
        self.steps = steps
        self.rate = rate

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x X x Y x Z in [0, 1] -> B x 1 x X x Y x Z in [0, 1]; works within ``torch.no_grad`` too."""
        sources = torch.as_tensor(image.detach())
        with torch.enable_grad():
            fused = sources[:, 1:2].clone().requires_grad_()
            optimiser = torch.optim.Adam([fused], self.rate)
            schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, self.steps)
            for _ in range(self.steps):
                optimiser.zero_grad()
                self.loss(fused, sources).backward()
                optimiser.step()
                schedule.step()
        return fused.detach().clamp(0.0, 1.0)
