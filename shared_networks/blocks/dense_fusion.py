"""The fusion module FN of RMR-Fusion: dense convolutions on the features of both modalities (paper, Fig. 5)."""

import torch
from torch import nn

from shared_networks.blocks.concatenated_convolution import convolve_concatenation
from shared_networks.blocks.slabs import in_slabs

# Voxels in the module at a time: with the default widths it holds 112 channels of them, 670 MB in float32.
_SLAB = 1_500_000


class _DenseLayer(nn.Module):
    """3x3x3 convolution and PReLU on the channel concatenation of several tensors, which is never built.

    Without the copies that ``torch.cat`` makes, the module keeps a third of the memory for the backward pass.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(in_channels, out_channels, 3, padding=1)
        self.activation = nn.PReLU(out_channels)

    def forward(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        total = convolve_concatenation(inputs, self.convolution.weight, self.convolution.bias)
        return self.activation(total)


class DenseFusion(nn.Module):
    """Fusion module FN of Zhang et al., AAAI 2024: features of both modalities to fused features.

    Five 3x3x3 convolutions with PReLU, each on the input and all results before it, then one more on the last
    result. With the default widths it has 145,344 parameters. Without gradient a large volume goes through in slabs.

    Args:
        in_channels: channels of the features of both modalities together.
        out_channels: channels of every layer and of the fused features.
        depth: number of densely connected convolutions.

    Example:
        >>> DenseFusion()(torch.rand(1, 32, 5, 6, 7)).shape
        torch.Size([1, 16, 5, 6, 7])
    """

    def __init__(self, in_channels: int = 32, out_channels: int = 16, depth: int = 5) -> None:
        super().__init__()
        self.dense = nn.ModuleList(
            _DenseLayer(in_channels + index * out_channels, out_channels) for index in range(depth)
        )
        self.last = _DenseLayer(out_channels, out_channels)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """B x in_channels x X x Y x Z (first modality, then second) -> B x out_channels x X x Y x Z."""
        reach = len(self.dense) + 1
        return in_slabs(self._fuse, [features], features.shape[2], halo=reach, voxels=_SLAB)

    def _fuse(self, features: torch.Tensor) -> torch.Tensor:
        results = [features]
        for layer in self.dense:
            results.append(layer(results))
        return self.last(results[-1:])
