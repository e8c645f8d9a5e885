"""Sparse form of the region mask convolution (Li et al. 2023, Fig. 4): kernels split by the channel masks."""

import torch
import torch.nn.functional as F

from shared_networks.blocks.neighbourhoods import gather_neighbourhoods, kernel_matrix, neighbourhood_rows, pixel_rows
from shared_networks.blocks.region_mask_convolution import RegionMaskConvolution


class SparseRegionMaskConvolution(RegionMaskConvolution):
    """Region mask convolution that computes nothing that a mask of 0 discards, as the paper's Fig. 4 draws it.

    The kernels of a layer are split by the channel masks of its inputs and outputs: dense to dense is a convolution of
    whole maps; dense to sparse and sparse to both are matrix products on the 3x3 neighbourhoods gathered at the
    principal pixels. Sparse channels are kept as one row for each principal pixel, never as maps.

    The fewest multiplications of all forms, but not the fastest on a CPU, where gathering costs more than it saves
    (``benchmarks/gesenet_speed.py`` measures it). Not for TorchScript or export; soft masks (training) take the
    straight form.
    """

    def forward(self, x: torch.Tensor, principal: torch.Tensor) -> torch.Tensor:
        """x: B x channels x H x W, principal: B x 1 x H x W (0 or 1 outside training) -> B x channels x H x W."""
        if self.training:
            return self.straight(x, principal)
        batch, height, width = x.shape[0], x.shape[2], x.shape[3]
        is_dense = self.dense_channels()[0] > 0.5
        pixels = principal.reshape(-1).nonzero().view(-1)
        neighbours, outside = neighbourhood_rows(pixels, batch, height, width)
        # Where the row of a principal pixel lies in a sparse map; all other pixels share a last row of zeros.
        place = torch.full([batch * height * width], pixels.shape[0], dtype=torch.int64, device=x.device)
        place[pixels] = torch.arange(pixels.shape[0], device=x.device)
        sparse_neighbours = place[neighbours]
        # The input of the first layer is dense in all channels.
        dense_in = torch.ones_like(is_dense[:, 0])
        dense_map, sparse_map = x, x.new_zeros([pixels.shape[0] + 1, 0])
        total = self.collect.bias.view(1, -1, 1, 1)
        projections = self.collect.weight.split(x.shape[1], dim=1)
        for layer, convolution in enumerate(self.convolutions):
            dense_out = is_dense[:, layer]
            kernels = convolution.weight
            from_dense, from_sparse = kernels[:, dense_in], kernels[:, ~dense_in]
            dense_patches = gather_neighbourhoods(pixel_rows(dense_map), neighbours, outside)
            sparse_patches = gather_neighbourhoods(sparse_map, sparse_neighbours, outside)
            sparse = dense_patches @ kernel_matrix(from_dense[~dense_out])
            sparse = sparse.addmm_(sparse_patches, kernel_matrix(from_sparse[~dense_out])).relu_()
            dense_map = _convolve(dense_map, from_dense[dense_out])
            pixel_rows(dense_map).index_add_(0, pixels, sparse_patches @ kernel_matrix(from_sparse[dense_out]))
            dense_map = dense_map.relu_()
            sparse_map = torch.cat([sparse, sparse.new_zeros([1, sparse.shape[1]])])
            total = total + _convolve(dense_map, projections[layer][:, dense_out])
            pixel_rows(total).index_add_(0, pixels, sparse @ projections[layer][:, ~dense_out, 0, 0].T)
            dense_in = dense_out
        return total


def _convolve(features: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Zero-padded convolution, in ``channels_last``; without input or output channels it is zero or empty."""
    if 0 in (weight.shape[0], weight.shape[1]):
        result = features.new_zeros([features.shape[0], weight.shape[0], *features.shape[2:]])
    else:
        result = F.conv2d(features, weight, padding=weight.shape[2] // 2)
    return result.contiguous(memory_format=torch.channels_last)
