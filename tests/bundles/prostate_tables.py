"""Two cases in the layout of Prostate158 (tables of paths), for the tests of its overlays."""

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (22, 20, 16)


def write_prostate_tables(data: Path, write_rmr_case: Callable[..., None]) -> Path:
    """Write ``train.csv`` and ``valid.csv`` with a case each; anatomy 0 to 2, and a tumour of 4 x 4 x 3 voxels."""
    for number, name in enumerate(("train", "valid")):
        write_rmr_case(data / name, number, labels=3)
        (data / name / "t1.nii.gz").rename(data / name / "t2.nii.gz")
        (data / name / "flair.nii.gz").rename(data / name / "adc.nii.gz")
        tumour = np.zeros(SHAPE, np.uint8)
        tumour[8:12, 8:12, 6:9] = 1
        nib.save(nib.Nifti1Image(tumour, np.diag([1, 1, 2, 1])), data / name / "tumor.nii.gz")
        row = [f"{name}/{part}.nii.gz" for part in ("t2", "adc", "label", "tumor")]
        header = "ID,t2,adc,t2_anatomy_reader1,adc_tumor_reader1"
        (data / f"{name}.csv").write_text(f"{header}\n{number},{','.join(row)}\n")
    return data
