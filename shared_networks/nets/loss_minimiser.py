"""The volume that a fusion loss itself asks for, without a network: the best that one trained with it can reach."""

from collections.abc import Callable

import torch
from torch import nn


class FusionLossMinimiser(nn.Module):
    """Minimise a fusion loss over the voxels of the fused volume, by Adam with a rate that falls linearly to 0.

    With :class:`shared_networks.losses.VisualFusionLoss` (RMR-Fusion, AAAI 2024, Eq. 7) it starts at the minimiser of
    the first term, the second modality. It has no parameters and learns nothing: each volume is optimised anew.

    Args:
        loss: (fused volume, sources) -> scalar.
        steps: optimiser steps.
        rate: first learning rate, in intensity.

    Example:
        >>> FusionLossMinimiser(VisualFusionLoss(), steps=2)(torch.rand(1, 2, 9, 8, 7)).shape
        torch.Size([1, 1, 9, 8, 7])
    """

    def __init__(
        self, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], steps: int = 120, rate: float = 0.01
    ) -> None:
        super().__init__()
        self.loss = loss
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
