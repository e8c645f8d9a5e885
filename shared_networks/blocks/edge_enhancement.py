"""Edge enhancement module of GeSeNet (Li et al. 2023, Section III-B, Eq. 1)."""

import torch
from torch import nn

from shared_networks.blocks.concatenated_convolution import convolve_concatenation
from shared_networks.blocks.gradients import sobel_kernels


class GradientFilter(nn.Module):
    """Depth-wise horizontal and vertical 3x3 convolutions, initialised to Sobel, whose absolute responses are added.

    The kernels are trainable, as in the released checkpoint.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.horizontal = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.vertical = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        along_rows, along_columns = sobel_kernels(2)
        with torch.no_grad():
            self.horizontal.weight.copy_(along_columns.expand_as(self.horizontal.weight))
            self.vertical.weight.copy_(along_rows.expand_as(self.vertical.weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x C x H x W -> B x C x H x W, >= 0."""
        return self.horizontal(x).abs() + self.vertical(x).abs()


class EdgeEnhancement(nn.Module):
    """Densely connected convolutions plus a gradient filter (Eq. 1): ``E_f = E_Conv + E_G``.

    The paper has 16 channels in and 32 out.
    """

    def __init__(self, in_channels: int = 16, out_channels: int = 32) -> None:
        super().__init__()
        self.dense1 = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.dense2 = nn.Conv2d(2 * in_channels, in_channels, 3, padding=1)
        self.dense_projection = nn.Conv2d(3 * in_channels, out_channels, 1)
        self.gradient_filter = GradientFilter(in_channels)
        self.gradient_projection = nn.Conv2d(in_channels, out_channels, 1)
        self.dense_activation = nn.LeakyReLU(0.2, inplace=True)
        self.activation = nn.LeakyReLU(0.1, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x in_channels x H x W -> B x out_channels x H x W."""
        first = self.dense_activation(self.dense1(x))
        second = convolve_concatenation([x, first], self.dense2.weight, self.dense2.bias)
        second = self.dense_activation(second)
        gradient = self.gradient_projection(self.gradient_filter(x))
        dense = convolve_concatenation([x, first, second], self.dense_projection.weight, self.dense_projection.bias)
        return self.activation(dense + gradient)
