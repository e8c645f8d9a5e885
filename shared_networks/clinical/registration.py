"""Rigid registration of two volumes of one head by mutual information, with ITK.

Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 2003 (the metric as ITK has
it); Studholme et al., An overlap invariant entropy measure of 3D medical image alignment, Pattern Recognition 1999 (the
normalised form that says how good a position is).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from skimage.filters import threshold_otsu
from skimage.metrics import normalized_mutual_information

from shared_networks.errors import InputError
from shared_networks.io.dicom_geometry import LPS_TO_RAS
from shared_networks.io.itk_volumes import to_itk
from shared_networks.io.regular_grid import background_value

_COARSE, _FINE = (8.0,), (4.0, 2.0)
"""Voxel sizes in mm of the steps from coarse to fine; half of each is the sigma of the smoothing."""
_SAMPLES = 40_000
_BINS = 32
_SEED = 1
_GRID = 4.0  # mm between the voxels that positions are compared on
_LOST = 0.98
"""Share of the similarity at the start that must be left at the end: of two equal volumes, moving one by less than a
voxel loses some."""
_DISPLACEMENT = 20.0  # mm away from the position found, where the volumes must fit worse


@dataclass(frozen=True)
class RigidRegistration:
    """Where a moving volume lies on a fixed one.

    Attributes:
        matrix: point of the fixed volume to the point of the moving one that shows the same, world (RAS) in mm, 4 x 4.
        centre: middle of the fixed volume's contents, world (RAS) in mm, 3 values.
        mutual_information: final value of the metric in nats (Mattes, 32 bins, 2 mm); higher is better.
        similarity_before: normalised mutual information, 1 (nothing in common) to 2, at the position of the headers.
        similarity_after: the same at the position found.
        similarity_displaced: the highest of six positions 20 mm away from the one found.
    """

    matrix: np.ndarray
    centre: np.ndarray
    mutual_information: float
    similarity_before: float
    similarity_after: float
    similarity_displaced: float

    @property
    def rotation_degrees(self) -> np.ndarray:
        """Rotation of the moving volume onto the fixed one: angles about R, A and S, in this order about fixed axes."""
        return Rotation.from_matrix(self.matrix[:3, :3].T).as_euler("xyz", degrees=True)

    @property
    def angle_degrees(self) -> float:
        """The one angle of the whole rotation, 0 to 180."""
        return float(np.degrees(Rotation.from_matrix(self.matrix[:3, :3]).magnitude()))

    @property
    def translation_mm(self) -> np.ndarray:
        """How far the moving volume's contents were moved at the fixed volume's middle: to the right, front, up."""
        return self.centre - (self.matrix[:3, :3] @ self.centre + self.matrix[:3, 3])

    @property
    def sharpness(self) -> float:
        """How much more the volumes have in common where they were put than 20 mm away; 1 says nothing fits."""
        return (self.similarity_after - 1.0) / max(self.similarity_displaced - 1.0, 1e-6)


def register_rigid(
    fixed: np.ndarray, fixed_affine: np.ndarray, moving: np.ndarray, moving_affine: np.ndarray
) -> RigidRegistration:
    """Find the rotation and translation that put a moving volume onto a fixed one; size and contrast may differ.

    Starts from the position of the headers (affines: voxel to world, RAS, in mm) and from centres of mass put on
    each other, goes on from the better one. Where that ends with less in common than the volumes have at the position
    of the headers, that position is kept. The same input gives the same result: one thread and a fixed seed.

    Raises InputError when ITK cannot register the two, for example because they have hardly any slices.
    """
    target, source = to_itk(_clipped(fixed), fixed_affine), to_itk(_clipped(moving), moving_affine)
    centre, other_centre = (_middle(fixed, fixed_affine), _middle(moving, moving_affine))
    compare = _Comparison(target, source)
    header = _rigid(centre, np.zeros(3))
    results, reasons = [], []
    for start in (header, _rigid(centre, other_centre - centre)):
        transform = _copy(start)
        try:
            _optimise(target, source, transform, _COARSE)
        except RuntimeError as error:  # the volumes do not meet at this start
            reasons.append(_last_line(error))
            continue
        results.append((compare(transform), transform))
    if not results:
        raise InputError(f"the volumes cannot be registered ({reasons[-1]}); register them by other means.")
    transform = max(results, key=lambda result: result[0])[1]
    try:
        information = _optimise(target, source, transform, _FINE)
        if compare(transform) - 1.0 < _LOST * (compare(header) - 1.0):
            # Such as of a few thin slices, which a step of any size moves away from each other.
            transform, information = header, _optimise(target, source, _copy(header), _FINE[-1:], steps=1)
    except RuntimeError as error:
        raise InputError(
            f"the volumes cannot be registered ({_last_line(error)}); register them by other means."
        ) from error
    displaced = [compare(_copy(transform, step)) for step in np.vstack([np.eye(3), -np.eye(3)]) * _DISPLACEMENT]
    return RigidRegistration(
        matrix=LPS_TO_RAS @ _matrix(transform) @ LPS_TO_RAS,
        centre=LPS_TO_RAS[:3, :3] @ centre,
        mutual_information=information,
        similarity_before=compare(header),
        similarity_after=compare(transform),
        similarity_displaced=max(displaced),
    )


def resample_rigid(
    values: np.ndarray,
    affine: np.ndarray,
    shape: tuple[int, ...],
    target_affine: np.ndarray,
    matrix: np.ndarray,
    outside: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Put a volume onto another grid by linear interpolation, moved rigidly, in one step.

    ``matrix`` takes a point of the result to the point of ``values``, world (RAS) in mm; the affines are voxel to
    world. Returns the volume, float32, ``outside`` where ``values`` does not reach; and where it does, bool.
    """
    import itk

    reference = to_itk(np.zeros(shape, np.float32), target_affine)
    transform = itk.AffineTransform[itk.D, 3].New()
    moved = LPS_TO_RAS @ matrix @ LPS_TO_RAS
    transform.SetMatrix(itk.matrix_from_array(np.ascontiguousarray(moved[:3, :3])))
    transform.SetOffset(moved[:3, 3].tolist())
    results = []
    for voxels, default in ((values, outside), (np.ones(values.shape, np.float32), 0.0)):
        image = itk.resample_image_filter(
            to_itk(voxels, affine),
            transform=transform,
            reference_image=reference,
            use_reference_image=True,
            default_pixel_value=float(default),
        )
        results.append(itk.array_from_image(image).T)
    return np.ascontiguousarray(results[0]), results[1] > 0.5


class _Comparison:
    """Normalised mutual information of fixed and moving volume at a position, on a coarse grid of the fixed one."""

    def __init__(self, target: Any, source: Any) -> None:
        import itk

        spacing, size = np.array(list(target.GetSpacing())), np.array(list(itk.size(target)))
        step = np.maximum(spacing, _GRID)
        self.grid = {
            "output_origin": target.GetOrigin(),
            "output_spacing": step.tolist(),
            "output_direction": target.GetDirection(),
            "size": [int(length) for length in np.floor((size - 1) * spacing / step) + 1],
        }
        self.source = _smoothed(source)
        self.fixed = self._sample(_smoothed(target), itk.TranslationTransform[itk.D, 3].New())

    def _sample(self, image: Any, transform: Any) -> np.ndarray:
        import itk

        outside = background_value(itk.array_view_from_image(image))
        sampled = itk.resample_image_filter(image, transform=transform, default_pixel_value=outside, **self.grid)
        return itk.array_from_image(sampled)

    def __call__(self, transform: Any) -> float:
        return float(normalized_mutual_information(self.fixed, self._sample(self.source, transform), bins=_BINS))


def _smoothed(image: Any) -> Any:
    import itk

    return itk.discrete_gaussian_image_filter(image, variance=(_GRID / 2) ** 2, maximum_kernel_width=16)


def _optimise(target: Any, source: Any, transform: Any, sizes: tuple[float, ...], steps: int = 100) -> float:
    """Improve a transform in place; the metric's final value in nats."""
    import itk

    image = itk.Image[itk.F, 3]
    metric_type = itk.MattesMutualInformationImageToImageMetricv4[image, image]
    metric = metric_type.New()
    metric.SetNumberOfHistogramBins(_BINS)
    metric.SetUseFixedImageGradientFilter(False)
    metric.SetUseMovingImageGradientFilter(False)
    metric.SetMaximumNumberOfWorkUnits(1)  # the order of a sum decides its last digits
    scales = itk.RegistrationParameterScalesFromPhysicalShift[metric_type].New()
    scales.SetMetric(metric)
    optimizer = itk.RegularStepGradientDescentOptimizerv4[itk.D].New()
    optimizer.SetScalesEstimator(scales)
    optimizer.SetDoEstimateLearningRateOnce(False)
    optimizer.SetDoEstimateLearningRateAtEachIteration(False)
    optimizer.SetLearningRate(sizes[0] / 2)  # mm
    optimizer.SetMinimumStepLength(0.005)
    optimizer.SetRelaxationFactor(0.5)
    optimizer.SetNumberOfIterations(steps)
    optimizer.SetReturnBestParametersAndValue(True)
    method = itk.ImageRegistrationMethodv4[image, image].New()
    method.SetFixedImage(target)
    method.SetMovingImage(source)
    method.SetMetric(metric)
    method.SetOptimizer(optimizer)
    method.SetInitialTransform(transform)
    method.SetInPlace(True)
    method.SetNumberOfLevels(len(sizes))
    spacing, size = np.array(list(target.GetSpacing())), np.array(list(itk.size(target)))
    shares = []
    for level, length in enumerate(sizes):
        factors = np.clip(np.round(length / spacing), 1, np.maximum(1, size // 4)).astype(int)
        method.SetShrinkFactorsPerDimension(level, factors.tolist())
        shares.append(min(1.0, _SAMPLES / float(np.prod(size // factors))))
    method.SetSmoothingSigmasPerLevel([length / 2 for length in sizes])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    method.SetMetricSamplingStrategy(itk.ImageRegistrationMethodv4Enums.MetricSamplingStrategy_RANDOM)
    method.SetMetricSamplingPercentagePerLevel(shares)
    method.MetricSamplingReinitializeSeed(_SEED)
    method.SetNumberOfWorkUnits(1)
    method.Update()
    return -float(optimizer.GetValue())


def _rigid(centre: np.ndarray, translation: np.ndarray) -> Any:
    import itk

    transform = itk.VersorRigid3DTransform[itk.D].New()
    transform.SetCenter(centre.tolist())
    transform.SetTranslation(translation.tolist())
    return transform


def _copy(transform: Any, further: np.ndarray | None = None) -> Any:
    copy = _rigid(np.array(list(transform.GetCenter())), np.zeros(3))
    copy.SetParameters(transform.GetParameters())
    if further is not None:
        copy.SetTranslation((np.array(list(transform.GetTranslation())) + further).tolist())
    return copy


def _matrix(transform: Any) -> np.ndarray:
    import itk

    matrix = np.eye(4)
    matrix[:3, :3] = itk.array_from_matrix(transform.GetMatrix())
    matrix[:3, 3] = list(transform.GetOffset())
    return matrix


def _clipped(values: np.ndarray) -> np.ndarray:
    """Without the few brightest voxels, which would leave the others a few bins of the histogram."""
    return values.clip(*np.percentile(values, [0.1, 99.9]))


def _middle(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centre (LPS) of the voxels above Otsu's threshold, which noise and negative backgrounds do not move."""
    voxels = np.argwhere(values > threshold_otsu(values.ravel()))
    return (LPS_TO_RAS @ affine @ np.append(voxels.mean(axis=0), 1.0))[:3]


def _last_line(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[-1].split())[-150:].rstrip(".") if lines else type(error).__name__
