"""Edge preservation, Qabf (Xydeas and Petrovic, Electronics Letters 2000, doi 10.1049/el:20000267)."""

import math

import torch
import torch.nn.functional as F

from shared_networks.blocks.gradients import sobel_kernels_like
from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric

# Gamma, kappa (slope) and sigma (centre) of the sigmoids for strength (g) and orientation (a).
_STRENGTH_SIGMOID = (0.9994, -15.0, 0.5)
_ORIENTATION_SIGMOID = (0.9879, -22.0, 0.8)
# In Sobel units of grey levels, where an 8-bit image has steps of 1: keep gradients finite on flat patches.
_LEAST_STRENGTH = 1e-4
_ORIENTATION_FLOOR = 1e-2


def _sobel(images: torch.Tensor) -> torch.Tensor:
    """B x 1 x H x W -> B x 2 x H x W, horizontal and vertical differences, zeros outside the image."""
    return F.conv2d(images, sobel_kernels_like(images).flip(0), padding=1)


def _strength(edges: torch.Tensor) -> torch.Tensor:
    return edges.square().sum(dim=1).clamp(min=_LEAST_STRENGTH**2).sqrt()


def _orientation(edges: torch.Tensor) -> torch.Tensor:
    """Arc tangent of vertical over horizontal difference, in (-pi/2, pi/2]."""
    horizontal, vertical = edges.unbind(dim=1)
    rise = torch.where(horizontal == 0, vertical.abs(), vertical * horizontal.sign())
    return torch.atan2(rise, horizontal.abs() + _ORIENTATION_FLOOR)


def _sigmoid(x: torch.Tensor, parameters: tuple[float, float, float]) -> torch.Tensor:
    gamma, slope, centre = parameters
    return gamma * torch.sigmoid(-slope * (x - centre))


def compute_edge_preservation(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute Qabf, the share of the sources' Sobel edges that the fused image keeps in strength and orientation.

    Per pixel and source, Q = Qg Qa with Qg = 0.9994 / (1 + exp(-15 (G - 0.5))), G the ratio of the weaker to the
    stronger of the two gradients, and Qa = 0.9879 / (1 + exp(-22 (A - 0.8))), A = 1 - |difference of arc tangents| /
    (pi / 2). The mean over pixels and sources is weighted by the gradient of the source. So F = A = B scores 0.975,
    not 1. The image is taken as 0 outside its borders. Both definitions are the same.

    As published, arc tangents are compared as numbers: 89 and -89 degrees count as far apart. Codes that fold the
    difference at 90 degrees score about 0.01 higher.

    Differentiable, except where a horizontal difference changes sign.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`; in [0, 0.976).
    """
    check_images(fused, source_a, source_b, definition)
    edges = _sobel(fused)
    strength_f, orientation_f = _strength(edges), _orientation(edges)
    kept, weight = torch.zeros_like(strength_f), torch.zeros_like(strength_f)
    for source in (source_a, source_b):
        edges = _sobel(source)
        strength = _strength(edges)
        ratio = torch.minimum(strength, strength_f) / torch.maximum(strength, strength_f)
        agreement = 1 - (_orientation(edges) - orientation_f).abs() / (math.pi / 2)
        kept = kept + _sigmoid(ratio, _STRENGTH_SIGMOID) * _sigmoid(agreement, _ORIENTATION_SIGMOID) * strength
        weight = weight + strength
    return kept.sum(dim=(1, 2)) / weight.sum(dim=(1, 2))


class EdgePreservationMetric(FusionMetric):
    """Qabf per image, see :func:`compute_edge_preservation` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_edge_preservation)
