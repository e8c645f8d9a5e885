"""Fusion by guided filtering (Li, Kang and Hu, IEEE Trans. Image Process. 2013)."""

import torch
import torch.nn.functional as F
from torch import nn


def window_mean(image: torch.Tensor, radius: int) -> torch.Tensor:
    """Mean over (2 radius + 1)-wide squares; at the border over the part that lies inside. B x C x H x W."""
    width = 2 * radius + 1
    # Rows, then columns: the windows are rectangles, also where the border cuts them.
    rows = F.avg_pool2d(image, (width, 1), stride=1, padding=(radius, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, width), stride=1, padding=(0, radius), count_include_pad=False)


def guided_filter(image: torch.Tensor, guide: torch.Tensor, radius: int, epsilon: float) -> torch.Tensor:
    """Smooth an image along the edges of another (He, Sun and Tang, TPAMI 2013, Eq. 5 to 8), both B x C x H x W.

    The guide is in [0, 1]; windows are 2 radius + 1 pixels wide, flat below a variance of the guide of ``epsilon``.
    """
    mean_guide, mean_image = window_mean(guide, radius), window_mean(image, radius)
    covariance = window_mean(guide * image, radius) - mean_guide * mean_image
    slope = covariance / (window_mean(guide * guide, radius) - mean_guide.square() + epsilon)
    offset = mean_image - slope * mean_guide
    return window_mean(slope, radius) * guide + window_mean(offset, radius)


class GuidedFilterFusion(nn.Module):
    """Weights by saliency, smoothed along the edges of each source, for a base and a detail layer.

    All constants are the paper's. Computed in double precision, because the detail weights' epsilon is 1e-6.

    Args:
        base_radius: half width of the mean filter that makes the base layer.

    Example:
        >>> GuidedFilterFusion()(torch.rand(1, 2, 33, 47)).shape
        torch.Size([1, 1, 33, 47])
    """

    kernel: torch.Tensor

    def __init__(self, base_radius: int = 15) -> None:
        super().__init__()
        self.base_radius = base_radius
        offsets = torch.arange(-5.0, 6.0, dtype=torch.float64)
        row = torch.exp(-offsets.square() / (2 * 5.0**2))
        kernel = torch.outer(row, row)
        self.register_buffer("kernel", (kernel / kernel.sum())[None, None].repeat(2, 1, 1, 1), persistent=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x H x W in [0, 1] -> B x 1 x H x W in [0, 1], any H and W."""
        source = image.double()
        base = window_mean(source, self.base_radius)
        winner = self._saliency(source).argmax(dim=1, keepdim=True)
        masks = torch.cat([winner == 0, winner == 1], dim=1).double()
        fused = torch.zeros_like(source[:, :1])
        for layer, radius, epsilon in ((base, 45, 0.3), (source - base, 7, 1e-6)):
            weights = guided_filter(masks, source, radius, epsilon).clamp(min=0) + 1e-12
            fused = fused + (weights / weights.sum(dim=1, keepdim=True) * layer).sum(dim=1, keepdim=True)
        return fused.clamp(0.0, 1.0).to(image.dtype)

    def _saliency(self, source: torch.Tensor) -> torch.Tensor:
        """Magnitude of the Laplacian, smoothed by a Gaussian of sigma 5 (Eq. 4 and 5 of the paper)."""
        padded = F.pad(source, [1, 1, 1, 1], mode="replicate")
        neighbours = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
        smooth = F.pad((neighbours - 4 * source).abs(), [5, 5, 5, 5], mode="replicate")
        return F.conv2d(smooth, self.kernel, groups=2)
