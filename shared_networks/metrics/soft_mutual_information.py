"""Mutual information with soft bins, differentiable: the training form of the MI metric."""

import torch

from shared_networks.metrics.arguments import check_images

# 1 / (2 sigma^2) of the Parzen window, in squared bins: sigma is half a bin.
_SHARPNESS = 2.0
_TINY = 1e-12


def _bin_shares(images: torch.Tensor, bins: int) -> torch.Tensor:
    """B x 1 x H x W -> B x HW x bins: how each pixel is shared among the bins, summing to one.

    A normalised Gaussian window is a softmax over the bins.
    """
    position = images.flatten(1).unsqueeze(2) * ((bins - 1) / 255)
    centres = torch.arange(bins, dtype=images.dtype, device=images.device)
    return torch.softmax(-_SHARPNESS * (position - centres).square(), dim=2)


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    return -(probabilities * probabilities.clamp(min=_TINY).log2()).sum(dim=1)


def compute_soft_mutual_information(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, bins: int = 32
) -> torch.Tensor:
    """Compute MI(F, A) + MI(F, B) in bits from histograms with Gaussian Parzen windows (sigma half a bin).

    Every pixel is shared among the bins near its value, so that the histogram has a gradient. With fewer and softer
    bins than the 256 of :func:`shared_networks.metrics.compute_mutual_information` the value is lower than that one's.
    Equal to ``monai.losses.GlobalMutualInformationLoss("gaussian")`` (negated, in bits, summed over the sources), but
    three times as fast. Memory is B x H x W x bins.

    Images B x 1 x H x W in 0..255 -> scores (B,). Raises ValueError when the shapes do not fit or there are fewer than
    two bins (centres from 0 to 255).
    """
    check_images(fused, source_a, source_b)
    if bins < 2:
        raise ValueError(f"bins must be at least 2, got {bins}.")
    shares_f = _bin_shares(fused, bins)
    entropy_f = _entropy(shares_f.mean(dim=1))
    information = torch.zeros_like(entropy_f)
    for source in (source_a, source_b):
        shares = _bin_shares(source, bins)
        joint = torch.bmm(shares_f.transpose(1, 2), shares) / shares.shape[1]
        information = information + entropy_f + _entropy(shares.mean(dim=1)) - _entropy(joint.flatten(1))
    return information
