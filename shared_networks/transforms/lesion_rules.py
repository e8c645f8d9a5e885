"""What a lesion has to be: probable, the less so the brighter on FLAIR; large enough; in white matter or bright."""

from typing import NamedTuple

import numpy as np
import torch
from monai.data import MetaTensor
from nibabel.affines import voxel_sizes

from shared_networks.metrics.lesions import lesion_components

# Half a voxel's rounding must not decide about a lesion that is exactly as large as it has to be.
_ROUNDING = 1 - 1e-6
# Median absolute deviation of a normal distribution to its standard deviation.
_DEVIATION = 1.4826


def flair_brightness(flair: torch.Tensor, grey_matter: torch.Tensor) -> torch.Tensor:
    """How much brighter than grey matter: distance to its median, in its standard deviations (from the median absolute
    deviation).

    The scale is that of the image itself, whatever its scanner and its load of lesions. All is 0 where there is no grey
    matter, or where it is flat, as in a modality that is missing.

    Args:
        flair: X x Y x Z.
        grey_matter: bool, the same shape.
    """
    values = flair[grey_matter].float()
    if not values.numel():
        return torch.zeros_like(flair, dtype=torch.float32)
    middle = values.median()
    spread = _DEVIATION * (values - middle).abs().median()
    return (flair.float() - middle) / spread if spread > 0 else torch.zeros_like(flair, dtype=torch.float32)


class LesionEvidence(NamedTuple):
    """What the rules go by; each 1 x X x Y x Z."""

    probability: torch.Tensor
    """Of lesions."""
    others: torch.Tensor
    """The most probable other class."""
    brightness: torch.Tensor | None
    """See :func:`flair_brightness`; None without FLAIR."""


def lesion_evidence(
    logits: torch.Tensor, flair: torch.Tensor | None, lesion_class: int, grey_matter: int = 2
) -> LesionEvidence:
    """The evidence in logits of J classes, J x X x Y x Z, and in FLAIR, 1 x X x Y x Z, background 0."""
    others = logits.clone()
    others[lesion_class] = -torch.inf
    others = others.argmax(dim=0, keepdim=True)
    brightness = None
    if flair is not None:
        brightness = flair_brightness(flair, (others == grey_matter) & (flair > 0))
    return LesionEvidence(logits.float().softmax(dim=0)[lesion_class : lesion_class + 1], others, brightness)


def probable_lesions(
    probability: torch.Tensor,
    brightness: torch.Tensor | None,
    threshold: float,
    bright_threshold: float | None,
    least_brightness: float | None,
) -> torch.Tensor:
    """Voxels whose probability reaches the threshold, or that of bright voxels; bool, the same shape.

    A brightness, threshold of bright voxels, or least brightness of None does not count.
    """
    lesion = probability >= threshold
    if brightness is not None and bright_threshold is not None and least_brightness is not None:
        lesion = lesion | ((brightness > least_brightness) & (probability >= bright_threshold))
    return lesion


def lesions_by_rule(
    lesion: np.ndarray,
    white_matter: np.ndarray,
    brightness: np.ndarray | None,
    one_ml: float,
    smallest_ml: float = 0.0,
    least_white_matter: float = 0.0,
    least_brightness: float = 0.0,
    brain: np.ndarray | None = None,
) -> tuple[np.ndarray, dict[str, float]]:
    """The lesions (26-connected) that stay, and the small ones in numbers.

    A lesion stays that is large enough, and of whose voxels the given share would be white matter otherwise or whose
    mean brightness is high enough. What has neither is cortex or ventricle that looks like a lesion.

    Args:
        lesion: bool, X x Y x Z.
        white_matter: where the most probable other class is white matter, the same shape.
        brightness: see :func:`flair_brightness`; None where it does not count.
        one_ml: volume of a voxel in ml.
        smallest_ml: volume of the smallest lesion that stays, in ml.
        least_white_matter: share in [0, 1].
        least_brightness: mean over the lesion.
        brain: where voxels of small lesions count; None for everywhere.

    Returns:
        bool X x Y x Z, and ``count`` and ``volume_ml`` of the lesions that are too small.
    """
    parts, voxels = lesion_components(lesion)

    def over(weights: np.ndarray) -> np.ndarray:
        """Sum over the voxels of every lesion."""
        return np.bincount(parts.ravel(), weights=weights.ravel(), minlength=voxels.size + 1)[1:]

    large = voxels * one_ml >= smallest_ml * _ROUNDING
    stays = over(white_matter) >= least_white_matter * voxels * _ROUNDING
    if brightness is not None:
        stays |= over(brightness) >= least_brightness * voxels
    small = (voxels if brain is None else over(brain))[~large]
    counted = {"count": int(np.count_nonzero(small)), "volume_ml": round(float(small.sum()) * one_ml, 4)}
    return np.append(False, large & stays)[parts], counted


def voxel_ml(image: torch.Tensor) -> float:
    """Volume of a voxel in ml; voxels are 1 mm wide where there is no affine."""
    sizes = voxel_sizes(np.asarray(image.affine)) if isinstance(image, MetaTensor) else np.ones(3)
    return float(np.prod(sizes)) / 1000.0
