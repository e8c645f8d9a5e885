"""Tissue classes of MRI + CT, PET or SPECT pictures from their joint histogram, to pre-train the semantic module."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing, binary_erosion, binary_fill_holes, gaussian_filter

from shared_networks.errors import InputError

TISSUE_CLASSES = ("air", "fluid", "grey matter", "white matter", "bone or bright", "hyper-metabolic")
_AIR, _FLUID, _GREY, _WHITE, _BRIGHT, _METABOLIC = range(6)

_DARK = 0.1  # 25 grey levels: below is background, noise of the MRI included
_CT_BONE = 0.9  # brain windows saturate bone
_UPTAKE_BRAIN, _UPTAKE_HIGH = 0.3, 0.8  # of the 99th percentile of a case's uptake
_POINTS = 20_000  # points of a fit: more do not move three Gaussians
_SPREAD = 2.0  # standard deviations (by the median deviation) that the MRI of a case is clipped to


@dataclass(frozen=True)
class GaussianMixture:
    """Gaussian mixture with one covariance: ``weights`` K, ``means`` K x D and ``covariance`` D x D."""

    weights: np.ndarray
    means: np.ndarray
    covariance: np.ndarray

    def posterior(self, points: np.ndarray) -> np.ndarray:
        """N x D points -> N x K responsibilities, rows adding up to 1."""
        difference = points[:, None, :] - self.means
        distance = np.einsum("nki,ij,nkj->nk", difference, np.linalg.inv(self.covariance), difference, optimize=True)
        log_density = np.log(self.weights) - 0.5 * distance
        density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        return density / density.sum(axis=1, keepdims=True)


def fit_gaussian_mixture(
    points: np.ndarray, components: int = 3, iterations: int = 50, floor: float = 4e-4
) -> GaussianMixture:
    """Expectation maximisation on N x D points without randomness: it starts from equal shares along the first
    coordinate.

    The components, at most N, share one covariance; else one of them would widen over the tails of all the others.
    ``floor`` is added to the variances (0.02 squared), so that one saturated level does not become a component.
    """
    count, dimensions = points.shape
    rank = np.argsort(np.argsort(points[:, 0], kind="stable"), kind="stable")
    mixture = None
    posterior = np.eye(components)[rank * components // count]
    for _ in range(iterations):
        mass = posterior.sum(axis=0) + 1e-6
        means = posterior.T @ points / mass[:, None]
        difference = points[:, None, :] - means
        covariance = np.einsum("nk,nki,nkj->ij", posterior, difference, difference, optimize=True) / count
        mixture = GaussianMixture(mass / mass.sum(), means, covariance + floor * np.eye(dimensions))
        posterior = mixture.posterior(points)
    return mixture


def _fill(mask: np.ndarray) -> np.ndarray:
    """N x H x W: close gaps of each picture's region and fill its holes."""
    return np.stack([binary_fill_holes(binary_closing(picture, iterations=4)) for picture in mask])


def _regions(mri: np.ndarray, other: np.ndarray, modality: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of what needs no mixture, the soft tissue that does, and the inside of the brain to fit it on."""
    labels = np.full(mri.shape, _AIR, np.uint8)
    if modality == "CT":
        # A brain window shows fat as black as air: what only the MRI shows there is scalp, orbit or marrow.
        bone = other >= _CT_BONE
        labels[bone | ((other < _DARK) & (mri >= _DARK))] = _BRIGHT
        soft = (other >= _DARK) & ~bone
        inside = np.stack([binary_erosion(picture, iterations=4) for picture in _fill(bone)])
        return labels, soft, soft & inside
    seen = other[other >= _DARK]
    level = np.percentile(seen, 99) if seen.size else 1.0
    # Ventricles take nothing up but lie inside; scalp and face take up little and lie outside.
    brain = _fill(other >= _UPTAKE_BRAIN * level)
    labels[~brain & (mri >= _DARK)] = _BRIGHT
    metabolic = brain & (other >= _UPTAKE_HIGH * level)
    labels[metabolic] = _METABOLIC
    # Functional pictures are blurred by several pixels, so that their region takes in the dark skull.
    inside = np.stack([binary_erosion(picture, iterations=12) for picture in brain])
    labels[brain & ~metabolic & ~inside & (mri < _DARK)] = _BRIGHT
    return labels, brain & ~metabolic & ((mri >= _DARK) | inside), inside


def pair_tissue_classes(mri: np.ndarray, other: np.ndarray, modality: str) -> np.ndarray:
    """Classes of all pictures of one case, by one rule for every modality.

    1. Dark in both pictures: air. CT: saturated values are bone; what only the MRI shows is bright (fat). PET, SPECT:
       uptake of at least 80 % of its 99th percentile is hyper-metabolic; what the MRI shows outside the filled
       region of uptake, and what is dark at its rim, is bone or bright (skull, scalp, face).
    2. The rest is soft tissue: a mixture of three Gaussians over (MRI, other) of the whole case, the MRI clipped
       to twice its robust spread around the brain's median, so that grey and white matter do not fall
       together beside the far ends. From the fluid's end the components are fluid, grey and white matter, both in
       T1 (dark fluid) and in T2 (bright fluid); fluid is the long tail of the brain's MRI histogram, so that the
       contrast need not be known.
    3. Responsibilities are smoothed with a Gaussian of one pixel before the highest one is taken.

    Nobody drew these classes: they teach the semantic module to tell regions apart, they are no ground truth. Where
    one tissue fills much more than half of a case's brain the robust spread is too narrow, and the other two merge.

    Args:
        mri: N x H x W in [0, 1], the pictures of one case.
        other: N x H x W in [0, 1], CT or luminance of PET or SPECT on the same grid.
        modality: "CT", "PET" or "SPECT".

    Returns:
        N x H x W uint8, indices of :data:`TISSUE_CLASSES`.

    Raises:
        InputError: for another modality or unequal shapes.
    """
    if modality not in ("CT", "PET", "SPECT"):
        raise InputError(f"modality {modality!r} has no class rule, expected CT, PET or SPECT; leave its folder out.")
    if mri.shape != other.shape or mri.ndim != 3:
        raise InputError(f"{modality}: shapes {mri.shape} and {other.shape}, expected the same N x H x W; pair them.")
    labels, soft, inside = _regions(mri, other, modality)
    inside &= mri >= _DARK
    if inside.sum() < 100:
        labels[soft] = _GREY
        return labels
    values = mri[inside]
    middle = float(np.median(values))
    spread = _SPREAD * 1.4826 * float(np.median(np.abs(values - middle))) + 1e-3
    fluid_is_bright = np.percentile(values, 98) - middle > middle - np.percentile(values, 2)
    features = np.stack([np.clip((mri - middle) / spread, -1, 1), other], axis=-1).astype(np.float64)
    points = features[inside]
    mixture = fit_gaussian_mixture(points[:: max(1, len(points) // _POINTS)])
    order = np.argsort(mixture.means[:, 0], kind="stable")
    order = order[::-1] if fluid_is_bright else order
    posterior = np.zeros((3, *mri.shape), np.float32)
    posterior[:, soft] = mixture.posterior(features[soft])[:, order].T
    smooth = np.stack([gaussian_filter(component, sigma=(0, 1, 1)) for component in posterior])
    labels[soft] = np.array([_FLUID, _GREY, _WHITE], np.uint8)[smooth.argmax(axis=0)[soft]]
    return labels
