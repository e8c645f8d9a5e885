"""Correction of the slow brightness changes that a receive coil leaves in MRI.

Tustison et al., N4ITK: Improved N3 Bias Correction, IEEE TMI 2010, as ITK has it.
"""

import numpy as np
from nibabel.affines import voxel_sizes
from scipy.ndimage import affine_transform
from skimage.filters import threshold_otsu

from shared_networks.errors import InputError
from shared_networks.io.itk_volumes import to_itk

_GRID = 4.0  # mm between the voxels that the field is estimated on
_ITERATIONS = (50, 50, 50)


def correct_bias_field(
    values: np.ndarray, affine: np.ndarray, largest_ratio: float = 10.0
) -> tuple[np.ndarray, tuple[float, float]]:
    """Divide a volume X x Y x Z, not negative but for noise, by its bias field.

    The field is estimated on a coarse grid from the voxels above Otsu's threshold and is smooth everywhere, so that
    background of 0 stays 0. Above ``largest_ratio`` of the strongest to the weakest gain N4 is taken to have diverged.

    Returns the volume, float32, with the mean of the foreground as it was, and the weakest and strongest gain that was
    divided by there. Raises InputError when no plausible field was found.
    """
    import itk

    foreground = values > threshold_otsu(values)
    step = np.maximum(1, np.round(_GRID / voxel_sizes(affine))).astype(int)
    step = np.minimum(step, np.maximum(1, np.array(values.shape) // 8))
    thinned = tuple(slice(None, None, int(length)) for length in step)
    coarse_affine = affine @ np.diag([*step, 1.0])
    mask = itk.image_from_array(np.ascontiguousarray(foreground[thinned].T.astype(np.uint8)))
    coarse = to_itk(values[thinned], coarse_affine)
    mask.CopyInformation(coarse)
    image, mask_image = itk.Image[itk.F, 3], itk.Image[itk.UC, 3]
    method = itk.N4BiasFieldCorrectionImageFilter[image, mask_image, image].New()
    method.SetInput(coarse)
    method.SetMaskImage(mask)
    method.SetNumberOfFittingLevels(len(_ITERATIONS))
    method.SetMaximumNumberOfIterations(_ITERATIONS)
    method.SetNumberOfWorkUnits(1)  # the order of a sum decides its last digits
    try:
        method.Update()
        field = method.ReconstructBiasField(method.GetLogBiasFieldControlPointLattice())
    except RuntimeError as error:
        raise InputError(f"no bias field can be found ({' '.join(str(error).split())[-150:]}).") from error
    log_field = itk.array_from_image(field).T.astype(np.float64)
    # The border is repeated beyond the last voxel of the coarse grid.
    gain = np.exp(affine_transform(log_field, 1.0 / step, output_shape=values.shape, order=1, mode="nearest"))
    weakest, strongest = (float(value) for value in np.percentile(gain[foreground], [0.5, 99.5]))
    if not np.isfinite(gain).all() or strongest > largest_ratio * weakest:
        raise InputError(f"no plausible bias field was found (gains of {weakest:.3g} to {strongest:.3g}).")
    corrected = values / gain
    mean = float(corrected[foreground].mean() / values[foreground].mean())
    return (corrected / mean).astype(np.float32), (weakest * mean, strongest * mean)
