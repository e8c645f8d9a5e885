"""How a batch becomes the arguments of network and loss."""

from typing import Any

import torch
from monai.engines import PrepareBatch
from monai.utils import convert_to_tensor

__all__ = ["PrepareFusionBatch", "plain_tensor"]


def plain_tensor(
    tensor: torch.Tensor, device: str | torch.device | None = None, non_blocking: bool = False
) -> torch.Tensor:
    """Put a tensor on the device, without meta data, whose bookkeeping costs time in every operation."""
    return convert_to_tensor(tensor).to(device=device, non_blocking=non_blocking)


class PrepareFusionBatch(PrepareBatch):
    """Self-supervised fusion: the loss compares the fused image with the source images.

    Args:
        return_masks: ask the network for its principal masks as further channels, for the sparsity term of the loss.
        input_key: what the network sees: the sources themselves, or a disturbed copy of them.
    """

    def __init__(self, return_masks: bool = False, input_key: str = "image") -> None:
        self.return_masks = return_masks
        self.input_key = input_key

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict[str, bool]]:
        """Return (network input B x 2 x spatial, target B x 2 x spatial, (), network keyword arguments)."""
        target = plain_tensor(batchdata["image"], device, non_blocking)
        seen = target
        if self.input_key != "image":
            seen = plain_tensor(batchdata[self.input_key], device, non_blocking)
        keywords = {"return_masks": True} if self.return_masks else {}
        return seen, target, (), keywords
