"""Sum of the correlations of differences, SCD (Aslantas and Bendes, AEU 2015, doi 10.1016/j.aeue.2015.09.004)."""

import torch

from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric

# Variances are in squared grey levels, where one rounding step of 8 bits is already 1/12.
_VARIANCE_FLOOR = 1e-4


def _correlation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    x = x.flatten(1) - x.flatten(1).mean(dim=1, keepdim=True)
    y = y.flatten(1) - y.flatten(1).mean(dim=1, keepdim=True)
    spread = (x.square().mean(dim=1) + _VARIANCE_FLOOR) * (y.square().mean(dim=1) + _VARIANCE_FLOOR)
    return (x * y).mean(dim=1) / spread.sqrt()


def compute_correlation_of_differences(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute SCD = corr(F - B, A) + corr(F - A, B), the Pearson correlations over the whole image, in [-2, 2].

    What the fused image has beyond one source should be the other source. Differentiable; a constant image, whose
    correlation is 0/0, counts 0. Both definitions are the same.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`.
    """
    check_images(fused, source_a, source_b, definition)
    return _correlation(fused - source_b, source_a) + _correlation(fused - source_a, source_b)


class CorrelationOfDifferencesMetric(FusionMetric):
    """SCD per image, see :func:`compute_correlation_of_differences` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_correlation_of_differences)
