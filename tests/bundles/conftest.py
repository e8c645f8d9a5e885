"""Small labelled cases for the bundles' tests."""

import nibabel as nib
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter


@pytest.fixture(scope="session")
def write_rmr_case():
    """Function (folder, number, labels) that writes t1, flair and label.nii.gz, 22 x 20 x 16, into a new folder."""
    shape = (22, 20, 16)

    def write(folder, number, labels=5):
        """Smooth T1 and FLAIR with a border of zeros, and labels that follow them."""
        random = np.random.default_rng(number)
        folder.mkdir(parents=True)
        inside = np.zeros(shape, bool)
        inside[2:-2, 2:-2, 1:-1] = True
        smooth = gaussian_filter(random.standard_normal(shape), 2)
        bands = np.searchsorted(np.quantile(smooth[inside], np.arange(1, labels) / labels), smooth)
        noise = random.uniform(0, 5, (2, *shape))
        volumes = {"t1": 100 + 20 * bands + noise[0], "flair": 200 - 30 * bands + noise[1], "label": bands}
        for name, values in volumes.items():
            kind = np.uint8 if name == "label" else np.float32
            nib.save(nib.Nifti1Image((values * inside).astype(kind), np.diag([1, 1, 2, 1])), folder / f"{name}.nii.gz")

    return write
