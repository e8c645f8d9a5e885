"""Standard deviation of the fused image, SD: its contrast."""

import torch

from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric

_SATURATION = 255.0


def compute_standard_deviation(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute SD of the grey levels.

    ``"standard"``: sqrt(mean((F - mean F)^2)), differentiable (with gradient 0 where F is constant).

    ``"paper"``: what the same formula gives for 8-bit images in MATLAB, where F - mean F is rounded and cannot fall
    below 0, and its square cannot exceed 255. So only the brighter pixels count, all alike from 16 levels above the
    mean, and no image scores more than sqrt(255) = 15.97.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`; of the sources only
    the shape is checked.
    """
    check_images(fused, source_a, source_b, definition)
    deviation = fused - fused.mean(dim=(1, 2, 3), keepdim=True)
    if definition == "paper":
        # MATLAB rounds halves up, torch.round to even.
        deviation = (deviation.clamp(min=0) + 0.5).floor()
    variance = deviation.square()
    if definition == "paper":
        variance = variance.clamp(max=_SATURATION)
    variance = variance.mean(dim=(1, 2, 3))
    varies = variance > 0
    return torch.where(varies, variance, torch.ones_like(variance)).sqrt() * varies


class StandardDeviationMetric(FusionMetric):
    """SD per image, see :func:`compute_standard_deviation` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_standard_deviation)
