"""A brain mask by deepbet, a trained tool that ships its weights in its package.

Fisch et al., deepbet: Fast brain extraction of T1-weighted MRI using Convolutional Neural Networks, Computers in
Biology and Medicine 2024. It is optional.
"""

import warnings
from functools import lru_cache
from typing import Any

import nibabel as nib
import numpy as np

from shared_networks.errors import InputError
from shared_networks.utils.optional_packages import missing_packages

# Its requirements name a graphical interface too, which is not needed here.
_PACKAGES = {"deepbet": "deepbet", "cc3d": "connected-components-3d", "fill_voids": "fill_voids", "pandas": "pandas"}


def refuse_missing_deepbet() -> None:
    """Say what deepbet lacks, before the steps that come first take their time.

    Raises:
        InputError: when deepbet, or what it needs, is not installed.
    """
    missing = missing_packages(_PACKAGES)
    if missing:
        raise InputError(
            f"brain_mask deepbet needs {' and '.join(missing)}: pip install --no-deps deepbet && pip install "
            "connected-components-3d fill_voids pandas."
        )


def trained_brain_mask(values: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The brain, X x Y x Z bool, in a T1 volume of a head with skull, on the CPU in about half a minute.

    ``affine`` is voxel to world (RAS) in mm. Raises InputError when deepbet is not installed, or finds no brain.
    """
    refuse_missing_deepbet()
    image = nib.Nifti1Image(values.astype(np.float32), affine)
    try:
        _, mask, _ = _model().run(image)
    except (AssertionError, ValueError) as error:  # nothing above its thresholds
        raise InputError("deepbet finds no brain; give a mask made by another tool.") from error
    return np.asarray(mask.dataobj) > 0


@lru_cache(maxsize=1)
def _model() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about the format of the weights
        from deepbet import BrainExtraction

        return BrainExtraction(no_gpu=True)
