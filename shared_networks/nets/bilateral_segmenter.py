"""The semantic module of GeSeNet: a segmenter with a bilateral attention decoder (Peng et al. 2021)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.networks.nets import ResNet
from torch import nn

from shared_networks.blocks.bilateral_attention import BilateralAttentionFusion


class BilateralAttentionSegmenter(nn.Module):
    """Light segmenter with two heads, after C. Peng et al., "Bilateral attention decoder: A lightweight decoder for
    real-time semantic segmentation", Neural Networks 137:188-199, 2021 (reference [39] of the GeSeNet paper).

    Backbone: a residual network of basic blocks with maps at 1/4, 1/8, 1/16 and 1/32 of the input. Decoder: two steps
    of channel attention on the high-level maps, spatial attention on the low-level maps and pooling fusing,
    1/32 -> 1/16 -> 1/8. The main head reads the maps at 1/8, the auxiliary head those at 1/16; both are upsampled to
    the input. The authors' backbone is not used: with the default widths the module has 3.1 M parameters, so that its
    weights can be shipped.

    Args:
        spatial_dims: 2; the decoder is made for pictures.
        in_channels: channels of the input.
        out_channels: number of classes.
        block_inplanes: widths of the four backbone stages.
        layers: basic blocks in each stage.
        decoder_channels: width of the decoder.
        dropout: channel dropout in front of the heads, in [0, 1).

    Example:
        >>> main, auxiliary = BilateralAttentionSegmenter()(torch.rand(1, 1, 33, 47))
        >>> main.shape, auxiliary.shape
        (torch.Size([1, 6, 33, 47]), torch.Size([1, 6, 33, 47]))
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 6,
        block_inplanes: Sequence[int] = (32, 64, 128, 256),
        layers: Sequence[int] = (2, 2, 2, 2),
        decoder_channels: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if spatial_dims != 2:
            raise ValueError(f"spatial_dims must be 2, got {spatial_dims}.")
        if len(block_inplanes) != 4 or len(layers) != 4:
            raise ValueError(f"four stages are needed, got block_inplanes {block_inplanes} and layers {layers}.")
        backbone = ResNet(
            block="basic",
            layers=list(layers),
            block_inplanes=list(block_inplanes),
            spatial_dims=spatial_dims,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            feed_forward=False,
            bias_downsample=False,
        )
        self.stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.act, backbone.maxpool, backbone.layer1)
        self.stage2 = backbone.layer2
        self.stage3 = backbone.layer3
        self.stage4 = backbone.layer4
        self.decoder16 = BilateralAttentionFusion(block_inplanes[3], block_inplanes[2], decoder_channels)
        self.decoder8 = BilateralAttentionFusion(decoder_channels, block_inplanes[1], decoder_channels)
        self.auxiliary_head = self._head(decoder_channels, out_channels, dropout)
        self.main_head = self._head(decoder_channels, out_channels, dropout)

    @staticmethod
    def _head(channels: int, classes: int, dropout: float) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Dropout2d(dropout),
            nn.Conv2d(channels, classes, 1),
        )

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the main and of the auxiliary head, each B x out_channels x H x W, for pictures of any size in [0,
        1].
        """
        maps8 = self.stage2(self.stem(image))
        maps16 = self.stage3(maps8)
        fused16 = self.decoder16(self.stage4(maps16), maps16)
        fused8 = self.decoder8(fused16, maps8)
        size = [image.shape[2], image.shape[3]]
        main = F.interpolate(self.main_head(fused8), size=size, mode="bilinear", align_corners=False)
        auxiliary = F.interpolate(self.auxiliary_head(fused16), size=size, mode="bilinear", align_corners=False)
        return main, auxiliary
