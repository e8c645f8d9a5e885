"""Entropy of the fused image, EN (Roberts, Van Aardt and Ahmed, J. Appl. Remote Sens. 2008, doi 10.1117/1.2945910)."""

import torch

from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric
from shared_networks.metrics.histograms import GREY_LEVELS, entropy_in_bits, grey_levels, histogram


def compute_entropy(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute EN, the entropy in bits of the 256-bin histogram of the fused image, in [0, 8].

    Values are rounded to whole grey levels. Both definitions are the same.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`; of the sources only
    the shape is checked.
    """
    check_images(fused, source_a, source_b, definition)
    return entropy_in_bits(histogram(grey_levels(fused), GREY_LEVELS)).to(fused.dtype)


class EntropyMetric(FusionMetric):
    """EN per image, see :func:`compute_entropy` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_entropy)
