"""Mutual information of the fused image and its sources, MI (Qu, Zhang and Yan, Electronics Letters 2002)."""

import torch

from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric
from shared_networks.metrics.histograms import GREY_LEVELS, entropy_in_bits, grey_levels, histogram


def compute_mutual_information(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute MI(F, A) + MI(F, B) in bits from joint histograms of 256 x 256 bins.

    Values are rounded to whole grey levels. Not normalised by the entropies. F = A = B scores 2 EN(F).

    ``"paper"``: levels 254 and 255 share a bin of the joint histogram (adding 1 to an 8-bit 255 saturates in MATLAB),
    but not of the single histograms, which raises the value of images with many white pixels.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`.
    """
    check_images(fused, source_a, source_b, definition)
    highest = GREY_LEVELS - 2 if definition == "paper" else GREY_LEVELS - 1
    levels_f = grey_levels(fused)
    entropy_f = entropy_in_bits(histogram(levels_f, GREY_LEVELS))
    information = torch.zeros_like(entropy_f)
    for source in (source_a, source_b):
        levels = grey_levels(source)
        joint = histogram(levels_f.clamp(max=highest) * GREY_LEVELS + levels.clamp(max=highest), GREY_LEVELS**2)
        information += entropy_f + entropy_in_bits(histogram(levels, GREY_LEVELS)) - entropy_in_bits(joint)
    return information.to(fused.dtype)


class MutualInformationMetric(FusionMetric):
    """MI per image, see :func:`compute_mutual_information` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_mutual_information)
