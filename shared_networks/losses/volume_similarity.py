"""SSIM of volumes as a loss, filtered axis by axis."""

import torch
from torch import nn

from shared_networks.losses.precision import in_single_precision


class VolumeSimilarityLoss(nn.Module):
    """``1 - SSIM`` (Wang et al. 2004) in three dimensions with a Gaussian window, for values in a range of
    ``data_range``.

    The value is that of ``monai.losses.SSIMLoss(spatial_dims=3)``, whose dense window of 11 x 11 x 11 costs more on a
    CPU than the network it trains. The Gaussian is separable: one small matrix product an axis gives the same, about a
    hundred times faster. On an axis shorter than the window (at least 1 voxel, else ValueError) the window shrinks to
    the axis.
    """

    def __init__(self, window: int = 11, sigma: float = 1.5, data_range: float = 1.0) -> None:
        super().__init__()
        if window < 1:
            raise ValueError(f"window must be at least 1, got {window!r}.")
        self.window = window
        self.sigma = sigma
        self.luminance_constant = (0.01 * data_range) ** 2
        self.contrast_constant = (0.03 * data_range) ** 2

    @in_single_precision
    def forward(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Compare two batches, B x C x X x Y x Z of any size -> mean over batch, channels and positions of the window
        inside.
        """
        moments = torch.stack([estimate, target, estimate**2, target**2, estimate * target])
        for axis in (-3, -2, -1):
            moments = (moments.movedim(axis, -1) @ self._band(moments.shape[axis], moments)).movedim(-1, axis)
        mean_e, mean_t, square_e, square_t, product = moments
        luminance = (2 * mean_e * mean_t + self.luminance_constant) / (mean_e**2 + mean_t**2 + self.luminance_constant)
        spread = square_e - mean_e**2 + square_t - mean_t**2
        contrast = (2 * (product - mean_e * mean_t) + self.contrast_constant) / (spread + self.contrast_constant)
        return 1 - (luminance * contrast).mean()

    def _band(self, length: int, like: torch.Tensor) -> torch.Tensor:
        """length x positions: column i holds the window that begins at i."""
        size = min(self.window, length)
        position = torch.arange(length, dtype=like.dtype, device=like.device)
        start = position[: length - size + 1]
        offset = position[:, None] - start
        weight = torch.exp(-(((offset - (size - 1) / 2) / self.sigma) ** 2) / 2) * ((offset >= 0) & (offset < size))
        return weight / weight[:, :1].sum()
