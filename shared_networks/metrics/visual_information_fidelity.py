"""Visual information fidelity in the pixel domain, VIF, summed over the two sources."""

import torch

from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric
from shared_networks.metrics.windows import filter_valid, gaussian_window

_NOISE_VARIANCE = 2.0
# Gaussian windows of the four scales, fine to coarse; sigma is a fifth of the size.
_WINDOW_SIZES = (17, 9, 5, 3)
_TINY = 1e-10


def _smallest_side(scales: int) -> int:
    """Return the side of the smallest image in which the window of every scale fits."""
    smallest = _WINDOW_SIZES[scales - 1]
    for finer in range(scales - 2, -1, -1):
        # A scale is made from the finer one by filtering without padding and keeping every second pixel.
        smallest = max(_WINDOW_SIZES[finer], 2 * smallest - 1 + _WINDOW_SIZES[finer + 1] - 1)
    return smallest


def _information(moments: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Information (B,) that reference and fused image share, and that of the reference, at one scale.

    Args:
        moments: B x 5 x H' x W': local means of reference r, fused f, r r, f f, r f.
    """
    mean_r, mean_f, rr, ff, rf = moments.unbind(dim=1)
    variance_r = (rr - mean_r**2).clamp(min=0)
    variance_f = (ff - mean_f**2).clamp(min=0)
    covariance = rf - mean_r * mean_f
    # What the cancellation in E[x^2] - E[x]^2 can leave of a constant patch is no variance.
    rounding = 32 * torch.finfo(moments.dtype).eps
    varies_r = variance_r > (rounding * rr).clamp(min=_TINY)
    varies_f = variance_f > (rounding * ff).clamp(min=_TINY)
    # Model: fused = gain * reference + noise. Without variance, or with a negative gain, nothing is shared.
    shares = varies_r & varies_f & (covariance >= 0)
    gain = torch.where(shares, covariance, torch.zeros_like(covariance)) / (variance_r + _TINY)
    noise = (variance_f - gain * covariance).clamp(min=_TINY)
    shared = torch.log1p(gain**2 * variance_r / (noise + _NOISE_VARIANCE))
    own = torch.log1p((variance_r * varies_r) / _NOISE_VARIANCE)
    return shared.sum(dim=(1, 2)), own.sum(dim=(1, 2))


def _fidelity(reference: torch.Tensor, fused: torch.Tensor, saturating: bool, scales: int) -> torch.Tensor:
    shared, own = fused.new_zeros(fused.shape[0]), fused.new_zeros(fused.shape[0])
    pair = torch.cat([reference, fused], dim=1)
    for scale, size in enumerate(_WINDOW_SIZES[:scales]):
        window = gaussian_window(size, size / 5, fused)
        if scale > 0:
            pair = filter_valid(pair, window)[:, :, ::2, ::2]
        r, f = pair[:, :1], pair[:, 1:]
        products = torch.cat([r * r, f * f, r * f], dim=1)
        if saturating and scale == 0:
            products = products.clamp(max=255)
        scale_shared, scale_own = _information(filter_valid(torch.cat([pair, products], dim=1), window))
        shared, own = shared + scale_shared, own + scale_own
    return shared / own.clamp(min=_TINY)


def compute_visual_information_fidelity(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard", scales: int = 4
) -> torch.Tensor:
    """Compute VIF(A, F) + VIF(B, F) in the pixel domain (Sheikh and Bovik, IEEE TIP 2006, doi 10.1109/TIP.2005.859378).

    Each VIF is the information that the fused image carries about a source over that of the source itself, both
    under additive noise of variance 2, summed over four scales. The ideal F = A = B scores 2 (more is possible where F
    has more contrast than its sources). A source without any variance has no information and counts 0.

    ``"paper"``: the products r r, f f and r f of the finest scale saturate at 255, as they do when the images are 8-bit
    integers in MATLAB, so that scale says little but in the darkest parts. Its inputs are whole grey levels.

    Differentiable (``"standard"``).

    Args:
        fused: B x 1 x H x W, 0..255, H and W at least 41 (for one to three scales 17, 25, 33).
        source_a: B x 1 x H x W, 0..255.
        source_b: B x 1 x H x W, 0..255.
        definition: ``"standard"`` or ``"paper"``.
        scales: number of scales, 1 to 4, from the finest; less than 4 is for patches in training.

    Returns:
        Tensor (B,).

    Raises:
        ValueError: when the shapes do not fit, or the definition or number of scales is unknown.
    """
    if not 1 <= scales <= len(_WINDOW_SIZES):
        raise ValueError(f"scales must be 1 to {len(_WINDOW_SIZES)}, got {scales}.")
    check_images(fused, source_a, source_b, definition, _smallest_side(scales))
    saturating = definition == "paper"
    return _fidelity(source_a, fused, saturating, scales) + _fidelity(source_b, fused, saturating, scales)


class VisualInformationFidelityMetric(FusionMetric):
    """VIF per image, see :func:`compute_visual_information_fidelity` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_visual_information_fidelity)
