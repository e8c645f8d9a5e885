"""A segmentation network made to take volumes of every size."""

import math
from collections.abc import Sequence

import torch
from monai.inferers import sliding_window_inference
from torch import nn

from shared_networks.blocks.grouped_window_attention import group_windows
from shared_networks.blocks.padding import crop_to, next_multiple, pad_to


class AnySizeHead(nn.Module):
    """Pad what a segmentation network cannot take, run it, and crop its logits.

    Sizes are padded by repeating the last voxel of an axis. Swin stages inside the network get grouped attention
    (:func:`shared_networks.blocks.grouped_window_attention.group_windows`), which changes nothing in the result.

    Args:
        network: maps B x C x spatial to logits B x J x spatial.
        divisor: what each axis must be a multiple of (2 to the number of halvings: 32 for SwinUNETR, 16 for UNet with
            five levels). A map of one voxel at the deepest level, which instance norm refuses, is avoided by
            doubling the last axis.
        size: for a network that takes one size only (UNETR): that size. Smaller volumes are padded to it, larger ones
            are covered by overlapping windows of it.
        windows_per_group: windows in one call of the attention.
        auxiliary_of: the network's last class is an auxiliary one, a part of this class that is easily taken for
            another. It helps in training, where its logits are returned like the others'; in evaluation mode its
            probability is added to that of ``auxiliary_of`` and it is no longer there. None for no such class.

    Example:
        >>> head = monai.networks.nets.SwinUNETR(in_channels=16, out_channels=5, feature_size=12)
        >>> AnySizeHead(head, divisor=32)(torch.rand(1, 16, 1, 5, 9)).shape
        torch.Size([1, 5, 1, 5, 9])
    """

    def __init__(
        self,
        network: nn.Module,
        divisor: int | Sequence[int] = 32,
        size: Sequence[int] | None = None,
        windows_per_group: int | None = None,
        auxiliary_of: int | None = None,
    ) -> None:
        super().__init__()
        self.divisor = (divisor,) * 3 if isinstance(divisor, int) else tuple(divisor)
        if len(self.divisor) != 3 or min(self.divisor) < 1:
            raise ValueError(f"divisor must be one or three numbers of at least 1, got {divisor!r}.")
        self.size = None if size is None else tuple(size)
        self.network = group_windows(network, windows_per_group)
        self.auxiliary_of = auxiliary_of

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """B x C x X x Y x Z, every axis at least 1 -> logits B x J x X x Y x Z."""
        logits = self._any_size(features)
        if self.auxiliary_of is None or self.training:
            return logits
        classes = list(logits[:, :-1].split(1, dim=1))
        classes[self.auxiliary_of] = torch.logaddexp(classes[self.auxiliary_of], logits[:, -1:])
        return torch.cat(classes, dim=1)

    def _any_size(self, features: torch.Tensor) -> torch.Tensor:
        size = tuple(int(length) for length in features.shape[2:])
        if self.size is None:
            padded = next_multiple(size, self.divisor)
            if math.prod(padded) == math.prod(self.divisor):
                padded = (*padded[:2], 2 * padded[2])
            return crop_to(self.network(pad_to(features, padded)), size)
        features = pad_to(features, self.size)
        if features.shape[2:] == self.size:
            return crop_to(self.network(features), size)
        logits = sliding_window_inference(features, self.size, 1, self.network, overlap=0.25, mode="gaussian")
        return crop_to(logits, size)
