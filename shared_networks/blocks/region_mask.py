"""Region mask module of GeSeNet (Li et al. 2023, Section III-C, Eq. 6 and 7, Fig. 3b-d and 4)."""

from typing import Literal

import torch
from torch import nn

from shared_networks.blocks.masked_region_mask import MaskedRegionMaskConvolution
from shared_networks.blocks.region_mask_convolution import RegionMaskConvolution, gumbel_softmax
from shared_networks.blocks.sparse_region_mask import SparseRegionMaskConvolution

_FORMS = {
    "masked": MaskedRegionMaskConvolution,
    "sparse": SparseRegionMaskConvolution,
    "straight": RegionMaskConvolution,
}


class RegionMaskGenerator(nn.Module):
    """RMG: says for every pixel whether it is "principal" (1) or "redundant" (0), Eq. 6 and Fig. 3(b).

    In training the mask is a sample of the Gumbel softmax, in (0, 1); otherwise it is the argmax, ties redundant.

    Args:
        in_channels: channels of the edge-enhanced features.
        hidden_channels: channels inside (8 in the released checkpoint).
        temperature: theta of Eq. 6; the paper says 0.5, the released code uses 1.
        upsampling: ``"transposed"`` is the paper's learned upsampling, whose stride of 2 can leave a lattice in the
            mask; ``"bilinear"`` resizes and then convolves, with the same number of parameters.

    Raises:
        ValueError: when ``upsampling`` is neither of the two.
    """

    def __init__(
        self,
        in_channels: int = 32,
        hidden_channels: int = 8,
        temperature: float = 0.5,
        upsampling: Literal["transposed", "bilinear"] = "transposed",
    ) -> None:
        super().__init__()
        if upsampling not in ("transposed", "bilinear"):
            raise ValueError(f'upsampling must be "transposed" or "bilinear", got {upsampling!r}.')
        self.temperature = temperature
        self.reduce = nn.Sequential(
            nn.Conv2d(in_channels, hidden_channels, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(hidden_channels, hidden_channels, 3, padding=1),
            nn.ReLU(),
        )
        if upsampling == "transposed":
            self.upsample: nn.Module = nn.ConvTranspose2d(hidden_channels, 2, 3, stride=2, padding=1, output_padding=1)
        else:
            self.upsample = nn.Sequential(
                nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False),
                nn.Conv2d(hidden_channels, 2, 3, padding=1),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x in_channels x H x W with even H and W -> principal mask B x 1 x H x W."""
        logits = self.upsample(self.reduce(x))
        if self.training:
            return gumbel_softmax(logits, self.temperature, 1)[:, 1:2]
        return (logits[:, 1:2] > logits[:, 0:1]).to(x.dtype)


class ChannelAttention(nn.Module):
    """Global average, two 1x1 convolutions (``hidden_channels`` between; 2 in the released checkpoint), sigmoid: one
    weight per channel.
    """

    def __init__(self, channels: int = 32, hidden_channels: int = 2) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden_channels, 1),
            nn.ReLU(),
            nn.Conv2d(hidden_channels, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x channels x H x W -> B x channels x H x W."""
        return x * self.weigh(x)


class RegionMask(nn.Module):
    """Region mask module M: generator, masked convolutions and channel attention, with a residual (Fig. 3d).

    Args:
        channels: channels in and out.
        temperature: theta of Eq. 6 and 7.
        upsampling: see :class:`RegionMaskGenerator`.
        form: how the masked convolutions are computed outside training, with equal results and equal parameters:
            ``"masked"`` (:class:`MaskedRegionMaskConvolution`), ``"sparse"`` (:class:`SparseRegionMaskConvolution`)
            or ``"straight"`` (:class:`RegionMaskConvolution`).

    Raises:
        ValueError: when ``form`` is none of the three.
    """

    def __init__(
        self,
        channels: int = 32,
        temperature: float = 0.5,
        upsampling: Literal["transposed", "bilinear"] = "transposed",
        form: str = "masked",
    ) -> None:
        super().__init__()
        if form not in _FORMS:
            raise ValueError(f"form must be one of {', '.join(_FORMS)}, got {form!r}.")
        self.generator = RegionMaskGenerator(channels, temperature=temperature, upsampling=upsampling)
        self.convolution = _FORMS[form](channels, temperature=temperature)
        self.attention = ChannelAttention(channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """B x channels x H x W (even) -> mask-optimised features of the same shape, principal mask B x 1 x H x W."""
        principal = self.generator(x)
        return self.attention(self.convolution(x, principal)) + x, principal
