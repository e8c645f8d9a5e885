"""Feature mutual information, FMI, in its fast form (Haghighat and Razian, AICT 2014; Haghighat et al., 2011)."""

import torch
import torch.nn.functional as F

from shared_networks.blocks.gradients import sobel_kernels_like
from shared_networks.metrics.arguments import check_images
from shared_networks.metrics.base import FusionMetric

_SIDE = 3
_PIXELS = _SIDE**2
_PATTERNS = 2**_PIXELS
# Edge threshold: a pixel's squared gradient over the mean of the image's.
_THRESHOLD = 4.0


def sobel_edges(images: torch.Tensor) -> torch.Tensor:
    """Find thin edges as MATLAB's ``edge(image)`` does by default, B x 1 x H x W -> bool of the same shape.

    A pixel is an edge when its squared Sobel gradient exceeds four times the image's mean, and is a maximum along the
    axis (row or column) of its larger component. The outermost pixels are none.
    """
    kernels = sobel_kernels_like(images).flip(0) / 8
    components = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernels).abs()
    horizontal, vertical = components[:, :1], components[:, 1:]
    square = components.square().sum(dim=1, keepdim=True)
    strong = square > _THRESHOLD * square.mean(dim=(2, 3), keepdim=True)
    # Equal components differ by rounding only.
    slack = 100 * torch.finfo(images.dtype).eps
    left, right = square[:, :, 1:-1, :-2], square[:, :, 1:-1, 2:]
    above, below = square[:, :, :-2, 1:-1], square[:, :, 2:, 1:-1]
    centre, horizontal, vertical, strong = (t[:, :, 1:-1, 1:-1] for t in (square, horizontal, vertical, strong))
    upright = (horizontal >= vertical - slack) & (left <= centre) & (centre > right)
    level = (vertical >= horizontal - slack) & (above <= centre) & (centre > below)
    return F.pad(strong & (upright | level), (1, 1, 1, 1))


def _window_patterns(edges: torch.Tensor) -> torch.Tensor:
    """B x 1 x H x W bool -> B x N: every 3 x 3 window as a number of nine bits, columns first."""
    bits = F.unfold(edges.double().transpose(2, 3), _SIDE)
    powers = 2.0 ** torch.arange(_PIXELS, dtype=bits.dtype, device=bits.device)
    return (bits * powers.view(1, -1, 1)).sum(dim=1).long()


def _distribution(patterns: torch.Tensor) -> torch.Tensor:
    """N patterns -> N x 9: each window as a probability distribution over its pixels; a flat window is uniform."""
    bits = (patterns.unsqueeze(1) >> torch.arange(_PIXELS, device=patterns.device)) & 1
    weight = bits.double()
    weight = torch.where(weight.sum(dim=1, keepdim=True) > 0, weight, torch.ones_like(weight))
    return weight / weight.sum(dim=1, keepdim=True)


def _entropy(probabilities: torch.Tensor) -> torch.Tensor:
    """Entropy in bits over the last axis; of a signed measure the magnitudes enter the logarithm, as published."""
    magnitude = probabilities.abs()
    return -(probabilities * torch.where(magnitude > 0, magnitude, torch.ones_like(magnitude)).log2()).sum(dim=-1)


def _normalised_information(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Normalised mutual information of N pairs of distinct window distributions, N x 9 each -> N.

    The joint distribution is Nelsen's: a mixture of independence and a Frechet bound (the upper one for positive, the
    lower for negative correlation) in the proportion that gives the correlation observed.
    """
    cumulative_1, cumulative_2 = first.cumsum(dim=1).unsqueeze(2), second.cumsum(dim=1).unsqueeze(1)
    centred_1, centred_2 = first - 1 / _PIXELS, second - 1 / _PIXELS
    norm = (centred_1.square().sum(dim=1) * centred_2.square().sum(dim=1)).sqrt()
    correlation = (centred_1 * centred_2).sum(dim=1) / norm.clamp(min=1e-12)

    upper = torch.minimum(cumulative_1, cumulative_2)
    lower = (cumulative_1 + cumulative_2 - 1).clamp(min=0)
    bound = torch.where((correlation >= 0).view(-1, 1, 1), upper, lower)
    covariance = (bound - cumulative_1 * cumulative_2).sum(dim=(1, 2))
    position = torch.arange(_PIXELS, dtype=first.dtype, device=first.device)
    spread = [((p * position.square()).sum(1) - (p * position).sum(1).square()).clamp(min=0) for p in (first, second)]
    deviation = (spread[0] * spread[1]).sqrt()
    defined = (covariance.abs() > 1e-12) & (deviation > 1e-12)
    share = torch.where(defined, correlation * deviation / torch.where(defined, covariance, 1.0), 0.0).view(-1, 1, 1)

    joint_bound = F.pad(bound, (1, 0, 1, 0)).diff(dim=1).diff(dim=2)
    joint = share * joint_bound + (1 - share) * first.unsqueeze(2) * second.unsqueeze(1)
    entropies = _entropy(first) + _entropy(second)
    information = entropies - _entropy(joint.flatten(1))
    return 2 * information / entropies.clamp(min=1e-12)


def _window_information(patterns_s: torch.Tensor, patterns_f: torch.Tensor) -> torch.Tensor:
    """Patterns of source and fused image, B x N each -> mean over the windows, (B,). Equal windows score 1."""
    pairs, inverse = torch.unique(patterns_s * _PATTERNS + patterns_f, return_inverse=True)
    source, fused = pairs // _PATTERNS, pairs % _PATTERNS
    information = _normalised_information(_distribution(source), _distribution(fused))
    return torch.where(source == fused, 1.0, information)[inverse].mean(dim=1)


def compute_feature_mutual_information(
    fused: torch.Tensor, source_a: torch.Tensor, source_b: torch.Tensor, definition: str = "standard"
) -> torch.Tensor:
    """Compute FMI with Sobel edges as the feature and 3 x 3 windows: the default of the authors' fast form.

    In each window the edge maps of source and fused image become distributions over the window's pixels; their mutual
    information over the mean of their entropies is averaged over windows and over the two sources. Windows that are
    equal (most: no edge in either) score 1, so values lie close to 1. The authors' code compares the second source
    with an already rescaled window, so that its value depends on the order of the sources; here it does not. Both
    definitions are the same. Only distinct pairs of the 512 possible windows are computed.

    Images B x 1 x H x W in 0..255 -> scores (B,), see :mod:`shared_networks.metrics.arguments`; H and W at least 3;
    1 for F = A = B.
    """
    check_images(fused, source_a, source_b, definition, _SIDE)
    patterns_f, patterns_a, patterns_b = (_window_patterns(sobel_edges(i)) for i in (fused, source_a, source_b))
    both = _window_information(patterns_a, patterns_f) + _window_information(patterns_b, patterns_f)
    return (both / 2).to(fused.dtype)


class FeatureMutualInformationMetric(FusionMetric):
    """FMI per image, see :func:`compute_feature_mutual_information` and :class:`FusionMetric` for the arguments."""

    function = staticmethod(compute_feature_mutual_information)
