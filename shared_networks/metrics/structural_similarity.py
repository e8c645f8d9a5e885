"""Structural similarity of a fused image: MEF-SSIM, and the mean of its SSIMs with the two sources."""

import math

import torch

from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric
from shared_networks.metrics.windows import filter_valid, gaussian_window

_SIZE, _SIGMA = 11, 1.5
_CONTRAST_CONSTANT = (0.03 * 255) ** 2
# Constants of the published index: added to the length of a patch, highest exponent and least weight of a source.
_LENGTH_OFFSET = 0.001
_HIGHEST_EXPONENT = 10.0
_LEAST_WEIGHT = torch.finfo(torch.float64).eps


def _source_weights(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients (B x H' x W' each) of the centred source patches in the desired patch.

    Lengths and angles of patches are unweighted, as in the published index; sums over the patch suffice for them.
    """
    box = torch.full((_SIZE,), 1 / _SIZE, dtype=a.dtype, device=a.device)
    mean_a, mean_b, aa, bb, ab = filter_valid(torch.cat([a, b, a * a, b * b, a * b], dim=1), box).unbind(dim=1)
    pixels = float(_SIZE**2)
    square_a = pixels * (aa - mean_a**2).clamp(min=0)
    square_b = pixels * (bb - mean_b**2).clamp(min=0)
    product = pixels * (ab - mean_a * mean_b)

    length_a, length_b = square_a.sqrt(), square_b.sqrt()
    total = (square_a + square_b + 2 * product).clamp(min=0).sqrt()
    tiny = torch.finfo(a.dtype).eps
    consistency = ((total + tiny) / (length_a + length_b + tiny)).clamp(0, 1)
    # Beyond this angle the tangent is above the highest exponent (and at 1 it is infinite).
    angle = (math.pi / 2 * consistency).clamp(max=math.atan(_HIGHEST_EXPONENT))
    exponent = torch.tan(angle)

    length_a, length_b = length_a + _LENGTH_OFFSET, length_b + _LENGTH_OFFSET
    weight_a = (length_a / _SIZE) ** exponent + _LEAST_WEIGHT
    weight_b = (length_b / _SIZE) ** exponent + _LEAST_WEIGHT
    share_a = weight_a / (weight_a + weight_b) / length_a
    share_b = weight_b / (weight_a + weight_b) / length_b

    square = share_a**2 * square_a + share_b**2 * square_b + 2 * share_a * share_b * product
    # Opposite patches can cancel: then the desired patch is flat.
    direction = torch.where(square > tiny, square.clamp(min=tiny).rsqrt(), torch.zeros_like(square))
    scale = direction * torch.maximum(length_a, length_b)
    return share_a * scale, share_b * scale


def compute_multi_exposure_ssim(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute MEF-SSIM at one scale (Ma, Zeng, Wang, IEEE TIP 2015, doi 10.1109/TIP.2015.2442920).

    In every 11 x 11 patch (means removed) the sources s_k make a desired patch: its direction is that of the sum of
    the unit vectors s_k / |s_k|, weighted by |s_k|^p, where p grows with the agreement of the two, and its length is
    that of the stronger source. The score is the contrast-structure part of SSIM between desired and fused patch,
    (2 cov + C) / (var + var + C), with C = (0.03 * 255)^2 under a Gaussian window of sigma 1.5, averaged over the
    positions where the window fits. It has no luminance term: a constant added to the fused image changes nothing.

    Only separable filters are needed: the desired patch is a linear combination of the source patches, so its moments
    follow from theirs. Differentiable in ``fused``; no gradient goes to the sources, which define the target. Both
    definitions are the same.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`; H and W at least
    11; at most 1.
    """
    check_images(fused, source_a, source_b, definition, _SIZE)
    a, b = source_a.detach(), source_b.detach()
    weight_a, weight_b = _source_weights(a, b)
    window = gaussian_window(_SIZE, _SIGMA, fused)

    sources = filter_valid(torch.cat([a, b, a * a, b * b, a * b], dim=1), window)
    mean_a, mean_b, aa, bb, ab = sources.unbind(dim=1)
    mean_f, ff, af, bf = filter_valid(torch.cat([fused, fused * fused, a * fused, b * fused], dim=1), window).unbind(1)

    variance_f = (ff - mean_f**2).clamp(min=0)
    variance_desired = (
        weight_a**2 * (aa - mean_a**2)
        + weight_b**2 * (bb - mean_b**2)
        + 2 * weight_a * weight_b * (ab - mean_a * mean_b)
    ).clamp(min=0)
    covariance = weight_a * (af - mean_a * mean_f) + weight_b * (bf - mean_b * mean_f)
    similarity = (2 * covariance + _CONTRAST_CONSTANT) / (variance_desired + variance_f + _CONTRAST_CONSTANT)
    return similarity.mean(dim=(1, 2))


class MultiExposureSSIMMetric(FusionMetric):
    """MEF-SSIM per image, see :func:`compute_multi_exposure_ssim` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_multi_exposure_ssim)


def compute_ssim(first: torch.Tensor, second: torch.Tensor, data_range: float = 255.0) -> torch.Tensor:
    """Compute SSIM (Wang et al., IEEE TIP 2004, doi 10.1109/TIP.2003.819861) of pairs of images.

    Gaussian window 11 x 11 of sigma 1.5, K1 0.01, K2 0.03, averaged over the positions where the window fits. The value
    is that of ``monai.losses.SSIMLoss``, which uploads its window in every call and does not filter axis by axis.

    Images B x 1 x H x W in 0..``data_range``, H and W at least 11 -> (B,), at most 1. Differentiable.
    """
    window = gaussian_window(_SIZE, _SIGMA, first)
    moments = torch.cat([first, second, first * first, second * second, first * second], dim=1)
    mean_a, mean_b, aa, bb, ab = filter_valid(moments, window).unbind(dim=1)
    luminance_constant, contrast_constant = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_a * mean_b + luminance_constant) / (mean_a**2 + mean_b**2 + luminance_constant)
    spread = aa - mean_a**2 + bb - mean_b**2
    contrast = (2 * (ab - mean_a * mean_b) + contrast_constant) / (spread + contrast_constant)
    return (luminance * contrast).mean(dim=(1, 2))


def compute_mean_source_ssim(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute (SSIM(F, A) + SSIM(F, B)) / 2, see :func:`compute_ssim`.

    Unlike MEF-SSIM it compares luminance too, so it sees a background that is not black. Differentiable. Both
    definitions are the same.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`; H and W at least
    11; at most 1.
    """
    check_images(fused, source_a, source_b, definition, _SIZE)
    return (compute_ssim(fused, source_a) + compute_ssim(fused, source_b)) / 2


class MeanSourceSSIMMetric(FusionMetric):
    """``ssim_mean`` per image, see :func:`compute_mean_source_ssim` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_mean_source_ssim)
