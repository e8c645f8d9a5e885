"""N4 on a brain with a known field."""

import nibabel as nib
import numpy as np
import pytest

from shared_networks.clinical.bias_field import correct_bias_field
from shared_networks.errors import InputError


def test_a_known_field_is_taken_out(rmr_bundle):
    image = nib.load(rmr_bundle / "sample_data" / "t1.nii.gz")
    values = np.asarray(image.dataobj, np.float32)[::2, ::2, ::2]
    affine = image.affine @ np.diag([2, 2, 2, 1])
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, length) for length in values.shape), indexing="ij")
    field = np.exp(0.3 * x - 0.2 * y**2 + 0.15 * z).astype(np.float32)
    plain, weak = correct_bias_field(values, affine)
    corrected, gain = correct_bias_field(values * field, affine)
    assert corrected.dtype == np.float32 and (corrected[values == 0] == 0).all()
    inside = values > 0

    def spread(ratio):
        return ratio[inside].std() / ratio[inside].mean()

    # what is left of the field, against what there was
    assert spread(corrected / plain.clip(1)) < 0.25 * spread(field)
    assert gain[0] < 0.85 and gain[1] > 1.2 and gain[1] / gain[0] > 1.5 * weak[1] / weak[0]
    with pytest.raises(InputError, match=r"no plausible bias field was found \(gains of 0\.\d+ to 1\.\d+\)"):
        correct_bias_field(values * field, affine, largest_ratio=1.2)
