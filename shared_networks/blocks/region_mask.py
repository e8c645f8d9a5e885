"""Region mask module of GeSeNet (Li et al. 2023, Section III-C, Eq. 6 and 7, Fig. 3b-d and 4)."""

import torch
import torch.nn.functional as F
from torch import nn

__all__ = ["ChannelAttention", "RegionMask", "RegionMaskConvolution", "RegionMaskGenerator"]


def _gumbel_softmax(logits: torch.Tensor, temperature: float, dim: int) -> torch.Tensor:
    """Soft Gumbel softmax; written out because ``F.gumbel_softmax`` cannot be scripted with its sampling inside."""
    uniform = torch.rand_like(logits).clamp(1e-6, 1.0 - 1e-6)
    return torch.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=dim)


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
        upsampling: str = "transposed",
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
            return _gumbel_softmax(logits, self.temperature, 1)[:, 1:2]
        return (logits[:, 1:2] > logits[:, 0:1]).to(x.dtype)


class RegionMaskConvolution(nn.Module):
    """RMC: a chain of 3x3 convolutions whose "sparse" channels are computed only in the principal region.

    With ``D`` and ``P = 1 - D`` the dense and sparse channels of a layer (Eq. 7) and ``s`` the principal mask,
    ``f_0 = ReLU((W_0 * x)(D_0 + P_0 s))`` and
    ``f_i = ReLU((W_i * (f D_(i-1)))(D_i + P_i s) + (W_i * (f P_(i-1))) s)``;
    the outputs of all layers are concatenated and projected by a 1x1 convolution.

    Args:
        channels: channels in and out (32 in the paper).
        layers: number of convolutions (4 in the paper).
        temperature: theta of Eq. 7.
    """

    def __init__(self, channels: int = 32, layers: int = 4, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = temperature
        self.layers = layers
        self.channel_mask = nn.Parameter(torch.rand(1, channels, layers, 2))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(layers)
        )
        self.collect = nn.Conv2d(layers * channels, channels, 1)

    def dense_channels(self) -> torch.Tensor:
        """Channel mask ``D``, 1 x channels x layers: a Gumbel sample in training, else 0 or 1, ties dense."""
        if self.training:
            return _gumbel_softmax(self.channel_mask, self.temperature, 3)[..., 0]
        return (self.channel_mask[..., 0] >= self.channel_mask[..., 1]).to(self.channel_mask.dtype)

    def forward(self, x: torch.Tensor, principal: torch.Tensor) -> torch.Tensor:
        """x: B x channels x H x W, principal: B x 1 x H x W in [0, 1] -> B x channels x H x W."""
        dense = self.dense_channels()
        features = x
        outputs: list[torch.Tensor] = []
        for layer, convolution in enumerate(self.convolutions):
            dense_out = dense[:, :, layer].view(1, -1, 1, 1)
            reach = dense_out + (1.0 - dense_out) * principal
            if layer == 0:
                features = F.relu(convolution(features) * reach)
            else:
                dense_in = dense[:, :, layer - 1].view(1, -1, 1, 1)
                from_dense = convolution(features * dense_in)
                from_sparse = convolution(features * (1.0 - dense_in))
                features = F.relu(from_dense * reach + from_sparse * principal)
            outputs.append(features)
        return self.collect(torch.cat(outputs, dim=1))


class ChannelAttention(nn.Module):
    """Global average, two 1x1 convolutions, sigmoid: one weight per channel.

    Args:
        channels: channels in and out.
        hidden_channels: channels between (2 in the released checkpoint).
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
    """

    def __init__(self, channels: int = 32, temperature: float = 0.5, upsampling: str = "transposed") -> None:
        super().__init__()
        self.generator = RegionMaskGenerator(channels, temperature=temperature, upsampling=upsampling)
        self.convolution = RegionMaskConvolution(channels, temperature=temperature)
        self.attention = ChannelAttention(channels)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """B x channels x H x W (even) -> mask-optimised features of the same shape, principal mask B x 1 x H x W."""
        principal = self.generator(x)
        return self.attention(self.convolution(x, principal)) + x, principal
