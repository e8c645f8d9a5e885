"""Sobel gradient magnitude in two and three dimensions."""

import torch
import torch.nn.functional as F

from shared_networks.utils.constant_cache import cached_constants


def sobel_kernels(spatial_dims: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Sobel kernels along every axis: the central difference [-1, 0, 1] smoothed by [1, 2, 1] on the other axes.

    The shape is (spatial_dims, 1, 3, 3[, 3]); kernel ``i`` differentiates along spatial axis ``i``. Raises ValueError
    when ``spatial_dims`` is neither 2 nor 3.
    """
    if spatial_dims not in (2, 3):
        raise ValueError(f"spatial_dims must be 2 or 3, got {spatial_dims}.")
    difference = torch.tensor([-1.0, 0.0, 1.0], dtype=dtype)
    smoothing = torch.tensor([1.0, 2.0, 1.0], dtype=dtype)
    kernels = []
    for axis in range(spatial_dims):
        kernel = torch.ones([1] * spatial_dims, dtype=dtype)
        for other in range(spatial_dims):
            shape = [1] * spatial_dims
            shape[other] = 3
            kernel = kernel * (difference if other == axis else smoothing).view(shape)
        kernels.append(kernel)
    return torch.stack(kernels).unsqueeze(1)


@cached_constants
def _kernels_on(spatial_dims: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return sobel_kernels(spatial_dims, dtype).to(device)


def sobel_kernels_like(image: torch.Tensor) -> torch.Tensor:
    """:func:`sobel_kernels` for images B x C x spatial, of their type and device; made once, not to be changed."""
    return _kernels_on(image.ndim - 2, image.dtype, image.device)


def sobel_gradient_magnitude(image: torch.Tensor) -> torch.Tensor:
    """Sum over the axes of the absolute Sobel response, the discrete gradient of both papers, in the image's shape.

    GeSeNet, Eq. 12 (B x C x H x W) and RMR-Fusion, Eq. 7 (B x C x H x W x D). Borders are replicated, so that a
    constant image has gradient 0 everywhere.
    """
    spatial_dims = image.ndim - 2
    channels = image.shape[1]
    flat = image.reshape(image.shape[0] * channels, 1, *image.shape[2:])
    padded = F.pad(flat, [1, 1] * spatial_dims, mode="replicate")
    convolve = F.conv2d if spatial_dims == 2 else F.conv3d
    return convolve(padded, sobel_kernels_like(image)).abs().sum(dim=1).reshape(image.shape)
