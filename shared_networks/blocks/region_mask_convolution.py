"""Region mask convolution of GeSeNet (Li et al. 2023, Section III-C, Eq. 7, Fig. 3c): its definition."""

import torch
from torch import nn

from shared_networks.blocks.concatenated_convolution import convolve_concatenation


def gumbel_softmax(logits: torch.Tensor, temperature: float, dim: int) -> torch.Tensor:
    """Soft Gumbel softmax; written out because ``F.gumbel_softmax`` cannot be scripted with its sampling inside.

    ``logits`` are unnormalised log-probabilities of any shape, ``temperature`` is theta of Eq. 6 and 7; towards 0 a
    sample becomes one-hot. Returns a sample of their shape in (0, 1), that adds up to 1 along ``dim``.
    """
    uniform = torch.rand_like(logits).clamp(1e-6, 1.0 - 1e-6)
    return torch.softmax((logits - torch.log(-torch.log(uniform))) / temperature, dim=dim)


class RegionMaskConvolution(nn.Module):
    """RMC: a chain of 3x3 convolutions whose "sparse" channels are computed only in the principal region.

    With ``D`` and ``P = 1 - D`` the dense and sparse channels of a layer (Eq. 7) and ``s`` the principal mask,
    ``f_0 = ReLU((W_0 * x)(D_0 + P_0 s))`` and
    ``f_i = ReLU((W_i * (f D_(i-1)))(D_i + P_i s) + (W_i * (f P_(i-1))) s)``;
    the outputs of all layers are projected together by a 1x1 convolution.

    This class computes just that ("straight": two convolutions a layer), in training and outside of it; the masks may
    be soft. Its subclasses give the same result faster where all masks are 0 or 1.

    Args:
        channels: channels in and out (32 in the paper).
        layers: number of convolutions (4 in the paper).
        temperature: theta of Eq. 7.
    """

    def __init__(self, channels: int = 32, layers: int = 4, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = temperature
        self.channel_mask = nn.Parameter(torch.rand(1, channels, layers, 2))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(layers)
        )
        self.activation = nn.ReLU(inplace=True)
        self.collect = nn.Conv2d(layers * channels, channels, 1)

    def dense_channels(self) -> torch.Tensor:
        """Channel mask ``D``, 1 x channels x layers: a Gumbel sample in training, else 0 or 1, ties dense."""
        if self.training:
            return gumbel_softmax(self.channel_mask, self.temperature, 3)[..., 0]
        return (self.channel_mask[..., 0] >= self.channel_mask[..., 1]).to(self.channel_mask.dtype)

    def straight(self, x: torch.Tensor, principal: torch.Tensor) -> torch.Tensor:
        """The formulas of the class, as they stand; arguments as in :meth:`forward`."""
        dense = self.dense_channels()[0].T.contiguous()
        # A full map in the memory format of ``x``: a broadcast product would have the other memory format.
        inside = torch.ones_like(x) * principal
        features = x
        outputs: list[torch.Tensor] = []
        for layer, convolution in enumerate(self.convolutions):
            dense_out = dense[layer].view(1, -1, 1, 1)
            reach = dense_out + (1.0 - dense_out) * inside
            if layer == 0:
                features = self.activation(convolution(features) * reach)
            else:
                dense_in = dense[layer - 1].view(1, -1, 1, 1)
                from_dense = convolution(features * dense_in)
                from_sparse = convolution(features * (1.0 - dense_in))
                features = self.activation(from_dense * reach + from_sparse * inside)
            outputs.append(features)
        return convolve_concatenation(outputs, self.collect.weight, self.collect.bias)

    def forward(self, x: torch.Tensor, principal: torch.Tensor) -> torch.Tensor:
        """x: B x channels x H x W, principal: B x 1 x H x W in [0, 1] -> B x channels x H x W."""
        return self.straight(x, principal)
