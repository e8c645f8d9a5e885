"""Grey-level histograms of batches and their entropy."""

import math

import torch

GREY_LEVELS = 256


def grey_levels(images: torch.Tensor) -> torch.Tensor:
    """Round B x 1 x H x W images in 0..255 to whole levels, B x HW, dtype int64."""
    return images.flatten(1).round().clamp(0, GREY_LEVELS - 1).long()


def histogram(values: torch.Tensor, bins: int) -> torch.Tensor:
    """Relative frequencies, B x bins, float64, of B x N whole numbers in [0, bins)."""
    rows, count = values.shape
    offset = torch.arange(rows, device=values.device).unsqueeze(1) * bins
    counts = torch.bincount((values + offset).flatten(), minlength=rows * bins)
    return counts.view(rows, bins).double() / count


def entropy_in_bits(frequencies: torch.Tensor) -> torch.Tensor:
    """Shannon entropy, base 2, over the last axis of a tensor of frequencies that sum to one."""
    return torch.special.entr(frequencies).sum(dim=-1) / math.log(2.0)
