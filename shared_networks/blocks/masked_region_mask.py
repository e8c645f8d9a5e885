"""Masked form of the region mask convolution: little more than one convolution a layer, on whole feature maps."""

import torch
import torch.nn.functional as F

from shared_networks.blocks.concatenated_convolution import convolve_concatenation
from shared_networks.blocks.neighbourhoods import gather_neighbourhoods, kernel_matrix, neighbourhood_rows, pixel_rows
from shared_networks.blocks.region_mask_convolution import RegionMaskConvolution


class MaskedRegionMaskConvolution(RegionMaskConvolution):
    """Region mask convolution at the cost of about one convolution a layer, for masks of 0 and 1; the default.

    Sparse channels are 0 at redundant pixels, so that in the principal region, and at redundant pixels without a
    principal neighbour, the two products of a layer are one plain convolution of all channels. What is left are the
    redundant pixels beside the principal region: there the dense channels must not see the sparse ones. If they are
    few they are computed again from their neighbourhoods, otherwise by a second convolution, as in the straight form.
    Where every pixel is principal nothing is masked at all.

    Works in TorchScript. Tracing and ``torch.export`` record the second convolution, which does not depend on the
    data, and soft masks (training) take the straight form.

    Args:
        channels: channels in and out (32 in the paper).
        layers: number of convolutions (4 in the paper).
        temperature: theta of Eq. 7.
        share_to_gather: the largest share of pixels whose neighbourhoods are gathered. A gathered pixel costs several
            times what the convolution of a whole map spends on one.
    """

    def __init__(
        self, channels: int = 32, layers: int = 4, temperature: float = 0.5, share_to_gather: float = 0.1
    ) -> None:
        super().__init__(channels, layers, temperature)
        self.share_to_gather = share_to_gather

    def forward(self, x: torch.Tensor, principal: torch.Tensor) -> torch.Tensor:
        """x: B x channels x H x W, principal: B x 1 x H x W (0 or 1 outside training) -> B x channels x H x W."""
        if self.training:
            return self.straight(x, principal)
        may_look = True
        if not torch.jit.is_scripting():
            may_look = not (torch.jit.is_tracing() or torch.compiler.is_exporting())
        if may_look and bool((principal > 0).all()):
            return self._unmasked(x)
        return self._masked(x, principal, may_look)

    def _unmasked(self, x: torch.Tensor) -> torch.Tensor:
        features = x
        outputs: list[torch.Tensor] = []
        for convolution in self.convolutions:
            features = self.activation(convolution(features))
            outputs.append(features)
        return convolve_concatenation(outputs, self.collect.weight, self.collect.bias)

    def _masked(self, x: torch.Tensor, principal: torch.Tensor, may_look: bool) -> torch.Tensor:
        batch, height, width = x.shape[0], x.shape[2], x.shape[3]
        dense = self.dense_channels()[0].T.contiguous()
        # A full map in the memory format of ``x``: a broadcast product would have the other memory format.
        inside = torch.ones_like(x) * principal
        counts = F.conv2d(principal, torch.ones([1, 1, 3, 3], dtype=principal.dtype, device=x.device), padding=1)
        beside = (counts > 0) & (principal == 0)
        pixels = torch.zeros([0], dtype=torch.int64, device=x.device)
        gather = False
        if may_look and x.device.type == "cpu":
            pixels = beside.reshape(-1).nonzero().view(-1)
            gather = pixels.shape[0] <= self.share_to_gather * beside.numel()
        neighbours, outside = pixels, pixels
        if gather:
            neighbours, outside = neighbourhood_rows(pixels, batch, height, width)
        features = x
        outputs: list[torch.Tensor] = []
        for layer, convolution in enumerate(self.convolutions):
            dense_out = dense[layer].view(1, -1, 1, 1)
            reach = torch.maximum(dense_out, inside)
            result = convolution(features)
            if layer > 0 and gather:
                # In-place on the rows of ``result``: they are a view of it in this memory format only.
                result = result.contiguous(memory_format=torch.channels_last).mul_(reach)
                dense_in = dense[layer - 1].view(1, -1, 1, 1)
                kernels = kernel_matrix(convolution.weight * dense_in * dense_out.view(-1, 1, 1, 1))
                values = gather_neighbourhoods(pixel_rows(features), neighbours, outside) @ kernels
                pixel_rows(result).index_copy_(0, pixels, values.to(result.dtype))
            elif layer > 0:
                dense_in = dense[layer - 1].view(1, -1, 1, 1)
                from_sparse = convolution(features * (1.0 - dense_in))
                result = result.sub_(from_sparse.mul_(1.0 - principal)).mul_(reach)
            else:
                result = result.mul_(reach)
            features = self.activation(result)
            outputs.append(features)
        return convolve_concatenation(outputs, self.collect.weight, self.collect.bias)
