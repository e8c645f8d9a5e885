"""The control of RMR-Fusion: the semantic head alone, on the images."""

from collections.abc import Sequence

import torch
from torch import nn

from shared_networks.blocks.any_size_head import AnySizeHead


class SemanticHeadOnly(nn.Module):
    """A segmentation network on the two images, in the form of :class:`shared_networks.nets.RMRFusionNet`.

    It shows what the framework of Zhang et al. (AAAI 2024) gains over its own head, as Fig. 14 of the paper does. The
    last channel is the mean of both images, so that losses, evaluation and inference run unchanged.

    Args:
        semantic_head: any network that maps B x 2 x spatial to logits B x J x spatial.
        head_divisor: see :class:`shared_networks.blocks.any_size_head.AnySizeHead`.
        head_size: the only size that the head takes, if there is one.
        windows_per_group: windows in one call of the head's attention, where it has Swin stages.
        images_to_head: taken so that the configs of both networks are alike; the head sees the images in any case.
        images_to_volume: the same; there is no fused volume.
        auxiliary_of: class that the head's last one is a part of, see
            :class:`shared_networks.blocks.any_size_head.AnySizeHead`.

    Example:
        >>> head = monai.networks.nets.SwinUNETR(in_channels=2, out_channels=5, feature_size=12)
        >>> SemanticHeadOnly(head)(torch.rand(1, 2, 33, 20, 1)).shape
        torch.Size([1, 6, 33, 20, 1])
    """

    def __init__(
        self,
        semantic_head: nn.Module,
        head_divisor: int | Sequence[int] = 32,
        head_size: Sequence[int] | None = None,
        windows_per_group: int | None = None,
        images_to_head: bool = True,
        images_to_volume: Sequence[float] | None = None,
        auxiliary_of: int | None = None,
    ) -> None:
        super().__init__()
        self.semantic_head = AnySizeHead(semantic_head, head_divisor, head_size, windows_per_group, auxiliary_of)

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Parameters for the optimiser: all."""
        return list(self.parameters())

    def encode_fuse(self, image: torch.Tensor) -> torch.Tensor:
        """The images themselves are the features, B x 2 x spatial."""
        return image

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Mean of both images, B x 1 x spatial."""
        return features.mean(dim=1, keepdim=True)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x X x Y x Z in [0, 1], any size -> B x (J + 1) x X x Y x Z: logits, then the mean image."""
        return torch.cat([self.semantic_head(image), self.decode(image)], dim=1)
