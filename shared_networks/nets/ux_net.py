"""3D UX-Net, a large-kernel convolutional network in the form of SwinUNETR (Lee et al., ICLR 2023)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from monai.networks.blocks import UnetOutBlock, UnetrBasicBlock, UnetrUpBlock
from torch import nn


class _ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of B x C x X x Y x Z, for each voxel."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class _LargeKernelBlock(nn.Module):
    """What takes the place of a Swin block: x + DWC(LN(x)), then x + DCS(LN(x)).

    DWC is a depth-wise convolution with a large kernel. DCS, depth-wise convolution scaling, widens every channel by
    itself to ``expansion`` channels and back with 1x1x1 convolutions, without mixing channels.
    """

    def __init__(self, channels: int, kernel_size: int, expansion: int) -> None:
        super().__init__()
        self.spatial = nn.Sequential(
            _ChannelNorm(channels), nn.Conv3d(channels, channels, kernel_size, padding="same", groups=channels)
        )
        self.scaling = nn.Sequential(
            _ChannelNorm(channels),
            nn.Conv3d(channels, expansion * channels, 1, groups=channels),
            nn.GELU(),
            nn.Conv3d(expansion * channels, channels, 1, groups=channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.spatial(x)
        return x + self.scaling(x)


class UXNet3D(nn.Module):
    """3D UX-Net: depth-wise large-kernel encoder of four stages and the decoder of UNETR.

    After H. H. Lee, S. Bao, Y. Huo, B. A. Landman, "3D UX-Net: A large kernel volumetric ConvNet modernizing
    hierarchical transformer for medical image segmentation", ICLR 2023, arXiv 2209.15076.

    The stem, a 7x7x7 convolution with stride 2, is followed by stages at 1/2, 1/4, 1/8 and 1/16 of the input with
    doubling widths; between stages a layer norm and a 2x2x2 convolution with stride 2. The input and every stage go
    through a residual block with instance norm to the decoder (MONAI's UNETR blocks). With the default widths and one
    input channel it has 53.0 M parameters, as published.

    Args:
        in_channels: channels of the input.
        out_channels: number of classes.
        feature_size: width of the first stage (48 in the paper); the others have 2, 4 and 8 times as much.
        depths: blocks of each stage.
        kernel_size: side of the depth-wise kernels and of the stem, odd.
        expansion: how much wider the scaling makes a channel.
        norm_name: norm of the decoder's residual blocks.

    Example:
        >>> UXNet3D(16, 5, feature_size=12)(torch.rand(1, 16, 32, 48, 16)).shape
        torch.Size([1, 5, 32, 48, 16])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        feature_size: int = 48,
        depths: Sequence[int] = (2, 2, 2, 2),
        kernel_size: int = 7,
        expansion: int = 4,
        norm_name: str = "instance",
    ) -> None:
        super().__init__()
        if len(depths) != 4:
            raise ValueError(f"depths must name four stages, got {tuple(depths)}.")
        if kernel_size % 2 != 1:
            raise ValueError(f"kernel_size must be odd, got {kernel_size!r}.")
        widths = [feature_size * 2**stage for stage in range(5)]
        entries: list[nn.Module] = [
            nn.Conv3d(in_channels, feature_size, kernel_size, stride=2, padding=kernel_size // 2)
        ]
        for narrow, wide in pairwise(widths[:4]):
            entries.append(nn.Sequential(_ChannelNorm(narrow), nn.Conv3d(narrow, wide, 2, stride=2)))
        self.stages = nn.ModuleList(
            nn.Sequential(entry, *(_LargeKernelBlock(width, kernel_size, expansion) for _ in range(depth)))
            for entry, width, depth in zip(entries, widths[:4], depths, strict=True)
        )
        self.stage_norms = nn.ModuleList(_ChannelNorm(width) for width in widths[:4])

        # Index 0 is the input, index i the output of stage i; the decoder goes up from the last one.
        self.skips = nn.ModuleList(
            UnetrBasicBlock(3, narrow, wide, kernel_size=3, stride=1, norm_name=norm_name, res_block=True)
            for narrow, wide in zip([in_channels, *widths[:4]], widths, strict=True)
        )
        self.ups = nn.ModuleList(
            UnetrUpBlock(3, wide, narrow, kernel_size=3, upsample_kernel_size=2, norm_name=norm_name, res_block=True)
            for narrow, wide in zip(widths[3::-1], widths[:0:-1], strict=True)
        )
        self.last = UnetrBasicBlock(
            3, feature_size, feature_size, kernel_size=3, stride=1, norm_name=norm_name, res_block=True
        )
        self.out = UnetOutBlock(3, feature_size, out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Segment B x in_channels x X x Y x Z, axes multiples of 16, not all of them 16 -> logits, B x out_channels x X
        x Y x Z.
        """
        maps = [self.skips[0](x)]
        for stage, norm, skip in zip(self.stages, self.stage_norms, self.skips[1:], strict=True):
            x = stage(x)
            maps.append(skip(norm(x)))
        x = maps.pop()
        for up in self.ups:
            x = up(x, maps.pop())
        return self.out(self.last(x))
