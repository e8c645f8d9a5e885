"""Results lie where their source lies, whatever form of NIfTI it has; in mm."""

import nibabel as nib
import numpy as np
import pytest

from shared_networks.io.reading import read_source
from shared_networks.io.source_geometry import like_source
from tests.io.test_reading_volumes import PLACE, with_forms

SHAPE = (5, 6, 7)
AFFINE = np.array([[-0.9, 0.1, 0, 10], [0.1, 0.9, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1.0]])


def result(path, folder):
    source = read_source(path)
    nib.save(like_source(np.ones(SHAPE, np.uint8), source.affine, str(path), "label map"), folder / "out.nii.gz")
    out = nib.load(folder / "out.nii.gz")
    assert np.allclose(out.affine, source.affine, atol=1e-5) and out.get_fdata().all()
    assert np.allclose(read_source(folder / "out.nii.gz").affine, source.affine, atol=1e-5)
    return out


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image, nib.Nifti1Pair])
def test_codes_and_affines_stay(tmp_path, kind):
    image = kind(np.ones(SHAPE, np.int16), AFFINE)
    image.set_qform(AFFINE, 1)
    image.set_sform(AFFINE, 4)
    path = tmp_path / ("a.hdr" if kind is nib.Nifti1Pair else "a.nii")
    nib.save(image, path)
    header = result(path, tmp_path).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 4)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e3), ("micron", 1e-3)])
def test_lengths_are_millimetres(tmp_path, unit, factor):
    image = nib.Nifti1Image(np.ones(SHAPE, np.int16), np.diag([1 / factor] * 3 + [1.0]) @ AFFINE)
    image.set_qform(image.affine, 1)
    image.header.set_xyzt_units(unit, "sec")
    nib.save(image, tmp_path / "a.nii.gz")
    out = result(tmp_path / "a.nii.gz", tmp_path)
    assert np.allclose(out.affine, AFFINE, atol=1e-4) and out.header.get_xyzt_units()[0] == "mm"
    assert np.allclose(out.header.get_zooms(), np.linalg.norm(AFFINE[:3, :3], axis=0), atol=1e-4)


def test_a_sform_of_zeros_is_not_handed_on(tmp_path):
    path = with_forms(tmp_path / "a.nii", np.zeros((3, 4)), 1)
    source = read_source(path)
    out = like_source(np.ones(source.values.shape, np.uint8), source.affine, str(path), "label map")
    assert np.allclose(out.affine, PLACE, atol=1e-5)


def test_other_formats_give_their_affine(tmp_path):
    nib.save(nib.MGHImage(np.ones(SHAPE, np.float32), AFFINE), tmp_path / "a.mgz")
    result(tmp_path / "a.mgz", tmp_path)
