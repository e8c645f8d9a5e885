"""How a batch becomes the arguments of network and loss."""

from typing import Any

import torch
from monai.engines import PrepareBatch

from shared_networks.engines.plain_tensor import plain_tensor

__all__ = ["PrepareFusionBatch"]


class PrepareFusionBatch(PrepareBatch):
    """Self-supervised fusion: the source images are both the input and what the loss compares the fused image with.

    Args:
        return_masks: ask the network for its principal masks as further channels, for the sparsity term of the loss.
    """

    def __init__(self, return_masks: bool = False) -> None:
        self.return_masks = return_masks

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict[str, bool]]:
        """Return (sources B x 2 x spatial, the same tensor as target, (), network keyword arguments)."""
        sources = plain_tensor(batchdata["image"], device, non_blocking)
        return sources, sources, (), {"return_masks": True} if self.return_masks else {}
