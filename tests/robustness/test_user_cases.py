"""Inputs that people have, as collected from public reports: check and the readers of inference agree, and are right.

The files lie in a folder ``cases`` beside FUSION_DATA_DIR, or in FUSION_CASES_DIR. Of each, the table below says what
must come of it; an entry is the inputs, the status, a part of the reason or remark, and further options of check.
"""

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import ConfigParser

from shared_networks import check
from shared_networks.data import CaseLog, FusionDataset
from shared_networks.io.reading import read_source
from shared_networks.transforms import LoadFusionPaird

FLAT = "the background is not one value"
RMR = {
    "base": ("", ""),
    "fmt_mgz": ("", ".mgz"),
    "fmt_nrrd": ("", ".nrrd"),
    "fmt_mha": ("", ".mha"),
    "fmt_hdr": ("", ".hdr"),
    "meters": ("lengths in meter were turned into mm", ".nii.gz"),
    "spline_ringing": (FLAT, ""),
    "spline_masked": ("", ""),
    "epsilon_background": (FLAT, ""),
    "epsilon_both": (FLAT, ""),
    "zscore_bg0": ("", ""),
    "zscore_whole": ("", ""),
    "minus1_bg_crop": ("", ""),
    "slope_uint8": ("", ""),
    "nan_background": ("NaN around the contents", ""),
    "nifti2": ("", ""),
    "oblique": ("", ""),
    "orient_PIR": ("", ""),
    "big_endian": ("", ""),
}
"""Folders of T1 and FLAIR that are read, the remark that is due, and the ending of the two files."""

MRI, OTHER, CT = "dicom/mri", "dicom/flair", "dicom/ct"
WINDOW = "window of 0 to 80 HU"
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


@pytest.fixture(scope="module")
def cases():
    """The folder; tests that need it are skipped without it."""
    data = os.environ.get("FUSION_DATA_DIR", "")
    folder = Path(os.environ.get("FUSION_CASES_DIR", "") or (Path(data).parent / "cases" if data else "none"))
    if not folder.is_dir():
        pytest.skip("FUSION_CASES_DIR is not set, and no folder cases lies beside FUSION_DATA_DIR")
    return folder


def checked(folder, tmp_path, capsys, arguments, *options):
    """Exit code and entry of `python -m shared_networks.check` for one case."""
    report = tmp_path / "check.json"
    code = check.main([*arguments, *options, "--json", str(report)])
    capsys.readouterr()
    return code, json.loads(report.read_text(encoding="utf-8"))["cases"][0]


def inferred(bundle, image, options, **more):
    """What a bundle's inference says of a case before the network."""
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    switches = {key: f"--{key}" in options for key in ("resample", "align")}
    parser.update({"bundle_root": str(bundle), **switches})
    item = FusionDataset([{"case": "a", "image": image} | more], parser.get_parsed_content("preprocessing"))[0]
    log = CaseLog()
    log.add(item)
    return item, log.entries[0]


def agree(code, entry, inference, status, said):
    assert (entry["status"], entry["reason"]) == (inference["status"], inference["reason"])
    assert said in entry["reason"] and "\n" not in entry["reason"]
    assert code == (2 if status == "refused" else 0)
    # What is done to a good picture is said too.
    wrong = [part for part in entry["reason"].split("; ") if not part.endswith(("(mid_grey)", "(denoise_pictures)"))]
    assert status == entry["status"] or (status == "ok" and wrong == []), entry["reason"]


@pytest.mark.parametrize("name", RMR)
def test_t1_and_flair(cases, rmr_bundle, tmp_path, capsys, name):
    said, ending = RMR[name]
    paths = [str(cases / name / f"{kind}{ending or '.nii.gz'}") for kind in ("t1", "flair")]
    code, entry = checked(cases, tmp_path, capsys, ["--t1", paths[0], "--flair", paths[1]])
    item, inference = inferred(rmr_bundle, paths, ())
    agree(code, entry, inference, entry["status"], said)
    assert entry["status"] in ("ok", "warned") and "swapped" not in entry["reason"]
    if name in ("minus1_bg_crop", "oblique", "orient_PIR", "slope_uint8"):
        return
    truth, _ = inferred(rmr_bundle, [str(cases / "base" / f"{kind}.nii.gz") for kind in ("t1", "flair")], ())
    # Shifted by interpolation, FLAIR's surface may differ by a voxel; T1's is the brain.
    brain, expected = (one["brain"].numpy()[0] > 0 for one in (item, truth))
    assert np.count_nonzero(brain != expected) <= 0.01 * expected.sum()
    assert np.allclose(item["image"].affine, truth["image"].affine, atol=1e-3)
    assert np.abs(item["image"][0].numpy() - truth["image"][0].numpy())[brain & expected].mean() < 0.01


@pytest.mark.parametrize("name", GES)
def test_mri_and_other(cases, gesenet_bundle, tmp_path, capsys, name):
    mri, other, status, said, *options = GES[name]
    paths = [str(cases / mri), str(cases / other)]
    code, entry = checked(cases, tmp_path, capsys, ["--mri", paths[0], "--other", paths[1]], *options)
    _, inference = inferred(gesenet_bundle, paths, options)
    agree(code, entry, inference, status, said)


def values(path):
    return read_source(path).values


def test_values_are_those_of_the_plain_file(cases):
    """The same picture, volume or series in another form holds the same values."""
    plain = values(cases / "pics" / "ct.png")
    for name in ("ct_exif6.jpg", "ct_miniswhite16.tif", "ct_float01.tif", "ct_mpo.jpg", "ct.gif", "ct.webp", "ct.jp2"):
        assert np.abs(values(cases / "pics" / name) - plain).mean() < 0.03, name
    mri, flair = values(cases / MRI), values(cases / OTHER)
    for name in ("mri_nested", "mri_dup", "mri_enhanced", "mri_nopreamble", "mri_rle", "mri_j2k", "mri_be"):
        assert np.array_equal(values(cases / "dicom" / name), mri), name
    assert np.array_equal(values(cases / "dicom" / "flair_nopreamble"), flair)
    assert np.array_equal(values(cases / "dicom" / "spect_nm"), flair)
    single = values(cases / "dicom" / "single" / "mri.dcm")[..., 0]
    assert any(np.array_equal(single, mri[..., number]) for number in range(mri.shape[2]))
    base = nib.load(cases / "base" / "t1.nii.gz")
    for ending in ("mgz", "nrrd", "mha", "hdr"):
        source = read_source(cases / f"fmt_{ending}" / f"t1.{ending}")
        assert np.array_equal(source.values, base.get_fdata()) and np.allclose(source.affine, base.affine, atol=1e-4)


def test_grey_and_white_matter_differ_and_a_bleeding_is_bright(cases):
    """The contrast of a head in HU, with the masks that lie beside it."""
    masks = np.load(cases / "head" / "masks.npz")
    item = LoadFusionPaird()({"image": [str(cases / "head" / name) for name in ("mri.nii.gz", "ct.nii.gz")]})
    hu = nib.load(cases / "head" / "ct.nii.gz").get_fdata()
    shown = item["image"][1].numpy()
    assert np.allclose(shown, (hu / 80).clip(0, 1), atol=1e-5)
    for name in masks.files:
        inside = masks[name].astype(bool)
        if inside.shape == hu.shape and inside.any():
            assert shown[inside].mean() == pytest.approx((hu[inside] / 80).clip(0, 1).mean(), abs=1e-5)


def test_every_folder_of_dicom_is_read_or_refused_in_one_line(cases):
    from shared_networks.errors import InputError

    for folder in sorted((cases / "dicom").iterdir()):
        try:
            source = read_source(folder)
        except InputError as error:
            assert str(error).startswith(str(folder)) and "\n" not in str(error)
            continue
        assert np.isfinite(source.values).all()
