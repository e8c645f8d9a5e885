"""Local statistics under a separable window: the part that SSIM, VIF and their relatives share."""

import torch
import torch.nn.functional as F


def gaussian_window(size: int, sigma: float, like: torch.Tensor) -> torch.Tensor:
    """One axis, (size,), of a Gaussian window whose samples sum to one, with dtype and device of ``like``; sigma in
    pixels.
    """
    offset = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    window = torch.exp(-(offset**2) / (2 * sigma**2))
    return window / window.sum()


def filter_valid(images: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Correlate every channel with the separable window of axis (K,): B x C x H x W -> B x C x (H - K + 1) x (W - K +
    1).
    """
    batch, channels, height, width = images.shape
    size, groups = window.numel(), batch * channels
    # One group per channel of one large image: on a CPU many times faster than a batch of one-channel images.
    stacked = images.reshape(1, groups, height, width)
    rows = F.conv2d(stacked, window.view(1, 1, size, 1).expand(groups, 1, size, 1), groups=groups)
    both = F.conv2d(rows, window.view(1, 1, 1, size).expand(groups, 1, 1, size), groups=groups)
    return both.reshape(batch, channels, height - size + 1, width - size + 1)
