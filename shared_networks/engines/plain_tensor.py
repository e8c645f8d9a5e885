"""Tensors as networks take them."""

import torch
from monai.data import MetaTensor

__all__ = ["plain_tensor"]


def plain_tensor(
    tensor: torch.Tensor, device: str | torch.device | None = None, non_blocking: bool = False
) -> torch.Tensor:
    """Put a tensor on the device, without meta data, whose bookkeeping costs time in every operation."""
    tensor = tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
    return tensor.to(device=device, non_blocking=non_blocking)
