"""Inputs that people have, as collected from public reports: what is said of them, and what is read, is right.

Of each, the tables below say what must come of it. That inference says the same is in test_cases.py.
"""

import json

import nibabel as nib
import numpy as np
import pytest

from shared_networks import check
from shared_networks.io.reading import read_source
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd

FLAT = "the background is not one value"
RMR = {
    "base": "",
    "meters": "lengths in meter were turned into mm",
    "spline_ringing": FLAT,
    "spline_masked": "",
    "epsilon_background": FLAT,
    "epsilon_both": FLAT,
    "zscore_bg0": "",
    "zscore_whole": "",
    "minus1_bg_crop": "",
    "slope_uint8": "",
    "nan_background": "NaN around the contents",
    "nifti2": "",
    "oblique": "",
    "orient_PIR": "",
    "big_endian": "",
}
"""Folders of T1 and FLAIR that are read, and the remark that is due."""

MRI, OTHER, CT = "dicom/mri", "dicom/flair", "dicom/ct"
WINDOW = "window of 0 to 80 HU"
# Inputs, status, a part of the reason or remark, options of check.
GES = {
    "exif": ("pics/mri.png", "pics/ct_exif6.jpg", "ok", ""),
    "white is zero": ("pics/mri.png", "pics/ct_miniswhite16.tif", "ok", ""),
    "float": ("pics/mri.png", "pics/ct_float01.tif", "ok", ""),
    "float 255": ("pics/mri.png", "pics/ct_float255.tif", "refused", "of which nothing says what is white"),
    "mpo": ("pics/mri.png", "pics/ct_mpo.jpg", "ok", ""),
    "gif": ("pics/mri.png", "pics/ct.gif", "ok", ""),
    "webp": ("pics/mri.png", "pics/ct.webp", "ok", ""),
    "jp2": ("pics/mri.png", "pics/ct.jp2", "ok", ""),
    "pages": ("pics/mri.png", "pics/ct_pages.tif", "refused", "2 pages in one file"),
    "2D volumes": ("pics/mri2d.nii.gz", "pics/ct2d.nii.gz", "ok", ""),
    "head": ("head/mri.nii.gz", "head/ct.nii.gz", "warned", WINDOW),
    "head -1024": ("head/mri.nii.gz", "head/ct-1024.nii.gz", "warned", WINDOW),
    "head -2000": ("head/mri.nii.gz", "head/ct-2000.nii.gz", "warned", WINDOW),
    "brain": ("gvol/mri.nii.gz", "gvol/ct.nii.gz", "warned", WINDOW),
    "metal": ("gvol/mri.nii.gz", "gvol/ct_metal.nii.gz", "warned", WINDOW),
    "padded": ("gvol/mri.nii.gz", "gvol/ct_pad2000.nii.gz", "warned", WINDOW),
    "PET": ("gvol/mri.nii.gz", "gvol/pet.nii.gz", "ok", ""),
    "PET in Bq": ("gvol/mri.nii.gz", "gvol/pet_bq.nii.gz", "ok", ""),
    "dynamic": ("gvol/mri.nii.gz", "gvol/pet_dyn.nii.gz", "refused", "extract one volume first"),
    "colour 4D": ("gvol/mri.nii.gz", "gvol/pet_rgb4d.nii.gz", "warned", "were read as colour"),
    "colour RGBA": ("gvol/mri.nii.gz", "gvol/pet_rgba.nii.gz", "ok", ""),
    "sheared": ("gvol/mri_shear.nii.gz", "gvol/ct_shear.nii.gz", "refused", "--resample True"),
    "sheared, resampled": ("gvol/mri_shear.nii.gz", "gvol/ct_shear.nii.gz", "warned", "regular grid", "--resample"),
    "sheared, aligned": (
        "gvol/mri_shear.nii.gz",
        "gvol/ct_shear.nii.gz",
        "warned",
        "headers, which was kept",
        "--align",
    ),
    "one sheared, aligned": ("gvol/mri.nii.gz", "gvol/ct_shear.nii.gz", "warned", "headers, which was kept", "--align"),
    "colour without place": ("gvol/mri.nii.gz", "gvol/pet_rgb_itk.nii.gz", "warned", "on mri.nii.gz voxel by voxel"),
    "plain": (MRI, OTHER, "ok", ""),
    "no preamble": (MRI, "dicom/flair_nopreamble", "ok", ""),
    "nested": ("dicom/mri_nested", OTHER, "ok", ""),
    "copies": ("dicom/mri_dup", OTHER, "warned", "1 identical copies of slices were left out"),
    "enhanced": ("dicom/mri_enhanced", OTHER, "ok", ""),
    "one file of frames": ("dicom/mri_enhanced/IM0001.dcm", OTHER, "ok", ""),
    "SPECT": (MRI, "dicom/spect_nm", "ok", ""),
    "single": ("dicom/single/mri.dcm", "dicom/single/flair.dcm", "ok", ""),
    "slopes": (MRI, "dicom/pet_slopes", "ok", ""),
    "CT": (MRI, CT, "warned", WINDOW),
    "padding": (MRI, "dicom/ct_padding", "warned", "voxels of padding were set to -1000"),
    "tilt": (MRI, "dicom/ct_tilt", "refused", "--resample True"),
    "tilt, resampled": (MRI, "dicom/ct_tilt", "warned", "regular grid", "--resample"),
    "two series, none chosen": ("dicom/mri_twoseries", OTHER, "refused", "mri_twoseries#1"),
    "missing": ("dicom/mri_missing", OTHER, "refused", "missing or unevenly spaced"),
    "film": (
        "dicom/px_examples_rgb_color",
        "dicom/px_examples_ybr_color",
        "warned",
        "30 frames without position, a film, of which the first one was read",
    ),
}


def checked(tmp_path, *arguments):
    """Exit code, status and reason by `python -m shared_networks.check` for one case."""
    code = check.main([*arguments, "--json", str(tmp_path / "check.json")])
    entry = json.loads((tmp_path / "check.json").read_text(encoding="utf-8"))["cases"][0]
    return code, entry["status"], entry["reason"]


@pytest.mark.parametrize("name", RMR)
def test_t1_and_flair(cases_dir, tmp_path, name):
    paths, base = ([str(cases_dir / of / f"{kind}.nii.gz") for kind in ("t1", "flair")] for of in (name, "base"))
    code, _, reason = checked(tmp_path, "--t1", paths[0], "--flair", paths[1])
    assert code == 0 and RMR[name] in reason and "swapped" not in reason
    if name in ("minus1_bg_crop", "oblique", "orient_PIR", "slope_uint8"):
        return
    item, truth = (LoadModalitiesd()({"image": image}) for image in (paths, base))
    # Shifted by interpolation, FLAIR's surface may differ by a voxel; T1's is the brain.
    brain, expected = (one["brain"].numpy()[0] > 0 for one in (item, truth))
    assert np.count_nonzero(brain != expected) <= 0.01 * expected.sum()
    assert np.allclose(item["image"].affine, truth["image"].affine, atol=1e-3)
    assert np.abs(item["image"][0].numpy() - truth["image"][0].numpy())[brain & expected].mean() < 0.01


@pytest.mark.parametrize("name", GES)
def test_mri_and_other(cases_dir, tmp_path, name):
    mri, other, status, said, *options = GES[name]
    arguments = ("--mri", str(cases_dir / mri), "--other", str(cases_dir / other), *options)
    code, found, reason = checked(tmp_path, *arguments)
    assert code == (2 if status == "refused" else 0) and said in reason
    # What is done to a good picture is said too.
    wrong = [part for part in reason.split("; ") if not part.endswith(("(mid_grey)", "(denoise_pictures)"))]
    assert status == found or (status == "ok" and wrong == []), reason


def test_values_are_those_of_the_plain_file(cases_dir):
    """The same picture, volume or series in another form holds the same values."""

    def values(path):
        return read_source(path).values

    plain = values(cases_dir / "pics" / "ct.png")
    for name in ("ct_exif6.jpg", "ct_miniswhite16.tif", "ct_float01.tif", "ct_mpo.jpg", "ct.gif", "ct.webp", "ct.jp2"):
        assert np.abs(values(cases_dir / "pics" / name) - plain).mean() < 0.03, name
    mri, flair = values(cases_dir / MRI), values(cases_dir / OTHER)
    for name in ("mri_nested", "mri_dup", "mri_enhanced", "mri_nopreamble", "mri_rle", "mri_j2k", "mri_be"):
        assert np.array_equal(values(cases_dir / "dicom" / name), mri), name
    assert np.array_equal(values(cases_dir / "dicom" / "flair_nopreamble"), flair)
    assert np.array_equal(values(cases_dir / "dicom" / "spect_nm"), flair)
    single = values(cases_dir / "dicom" / "single" / "mri.dcm")[..., 0]
    assert any(np.array_equal(single, mri[..., number]) for number in range(mri.shape[2]))
    base = nib.load(cases_dir / "base" / "t1.nii.gz")
    for ending in ("mgz", "nrrd", "mha", "hdr"):
        source = read_source(cases_dir / f"fmt_{ending}" / f"t1.{ending}")
        assert np.array_equal(source.values, base.get_fdata()) and np.allclose(source.affine, base.affine, atol=1e-4)


def test_grey_and_white_matter_differ_and_a_bleeding_is_bright(cases_dir):
    """The contrast of a head in HU, with the masks that lie beside it."""
    masks = np.load(cases_dir / "head" / "masks.npz")
    item = LoadFusionPaird()({"image": [str(cases_dir / "head" / name) for name in ("mri.nii.gz", "ct.nii.gz")]})
    hu = nib.load(cases_dir / "head" / "ct.nii.gz").get_fdata()
    shown = item["image"][1].numpy()
    assert np.allclose(shown, (hu / 80).clip(0, 1), atol=1e-5)
    for name in masks.files:
        inside = masks[name].astype(bool)
        if inside.shape == hu.shape and inside.any():
            assert shown[inside].mean() == pytest.approx((hu[inside] / 80).clip(0, 1).mean(), abs=1e-5)
