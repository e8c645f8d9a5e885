"""Average gradient of the fused image, AG (Cui et al., Optics Communications 341, 2015)."""

import torch

from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric


def compute_average_gradient(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute AG, the mean over pixels of sqrt((gx^2 + gy^2) / 2), in grey levels a pixel.

    Gradients are central differences, one-sided at the borders (as ``numpy.gradient``). Both definitions are the same;
    codes that use forward differences give higher values.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`; H and W at least 2;
    of the sources only the shape is checked.
    """
    check_images(fused, source_a, source_b, definition, smallest=2)
    vertical, horizontal = torch.gradient(fused, dim=(2, 3))
    return torch.sqrt((vertical.square() + horizontal.square()) / 2).mean(dim=(1, 2, 3))


class AverageGradientMetric(FusionMetric):
    """AG per image, see :func:`compute_average_gradient` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_average_gradient)
