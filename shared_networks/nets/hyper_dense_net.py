"""HyperDenseNet, a dense network with one path for each modality (Dolz et al., IEEE TMI 2019)."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from monai.networks.blocks import Convolution
from torch import nn


class HyperDenseNet(nn.Module):
    """Segmentation at full resolution, in which every layer of every modality's path sees all earlier layers of all.

    After J. Dolz, K. Gopinath, J. Yuan, H. Lombaert, C. Desrosiers, I. Ben Ayed, "HyperDense-Net: A hyper-densely
    connected CNN for multi-modal image segmentation", IEEE Transactions on Medical Imaging 38 (2019), arXiv 1804.02967:
    nine 3x3x3 convolutions a path and a classifier of 1x1x1 convolutions.

    Paths differ in the order in which they concatenate what came before. As every order is followed by a convolution
    that learns its weights, order changes nothing that can be computed: only the first layer, where each path sees its
    own modality, keeps the paths apart. Here it is one convolution with a group for each path, and every other layer
    one convolution that holds the filters of all paths. The classifier gets each map once, and not once for each path,
    which would add weights and no function. Instance norm stands where batches of one volume make batch norm unusable,
    and layers are padded, so that the output is as large as the input.

    With the default widths the 3x3x3 layers of two paths have 9,518,850 weights.

    Args:
        in_channels: channels of the input; each path gets an equal share, in order.
        out_channels: number of classes.
        widths: filters of each 3x3x3 layer, for each path.
        classifier: filters of the 1x1x1 layers before the last one.
        paths: number of paths.
        norm: norm before each activation, as MONAI names it; None for none.

    Raises:
        ValueError: when the channels cannot be shared out.

    Example:
        >>> HyperDenseNet(2, 5, widths=(8, 8, 8))(torch.rand(1, 2, 20, 17, 9)).shape
        torch.Size([1, 5, 20, 17, 9])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int] = (25, 25, 25, 50, 50, 50, 75, 75, 75),
        classifier: Sequence[int] = (400, 200, 150),
        paths: int = 2,
        norm: str | None = "INSTANCE",
    ) -> None:
        super().__init__()
        if in_channels % paths:
            raise ValueError(f"in_channels must be a multiple of paths, got {in_channels} and {paths}.")
        filters = [paths * width for width in widths]
        seen = list(accumulate(filters))

        def layer(narrow: int, wide: int, kernel_size: int, groups: int = 1) -> Convolution:
            return Convolution(3, narrow, wide, 1, kernel_size, "NA", act="PRELU", norm=norm, groups=groups)

        self.layers = nn.ModuleList(
            [layer(in_channels, filters[0], 3, groups=paths)]
            + [layer(before, wide, 3) for before, wide in zip(seen, filters[1:], strict=False)]
        )
        sizes = [seen[-1], *classifier]
        self.classifier = nn.Sequential(
            *(layer(narrow, wide, 1) for narrow, wide in pairwise(sizes)), nn.Conv3d(sizes[-1], out_channels, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Segment volumes of any size, B x in_channels x X x Y x Z -> logits, B x out_channels x X x Y x Z."""
        first, *others = self.layers
        maps = first(x)
        for layer in others:
            maps = torch.cat([maps, layer(maps)], dim=1)
        return self.classifier(maps)
