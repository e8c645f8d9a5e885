"""Files of a fused pair: format, depth, colour, geometry."""

import json

import itk
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from shared_networks.transforms import FuseColourd, LoadFusionPaird, SaveFusedd
from tests.affines import AFFINES, OBLIQUE


def fuse(paths, output_dir, luminance=None, case="p1", **kwargs):
    """Load, take the mean (or a given luminance) as the result, colour and save."""
    d = LoadFusionPaird()({"case": case, "image": [str(path) for path in paths]})
    d["pred"] = d["image"].as_tensor().mean(dim=0, keepdim=True) if luminance is None else luminance
    return SaveFusedd(output_dir=str(output_dir), **kwargs)(FuseColourd()(d))


def test_grey_png(write_picture, noise, tmp_path):
    mri, ct = noise((15, 17)), noise((15, 17), 1)
    fuse([write_picture("m.png", mri), write_picture("c.bmp", ct)], tmp_path / "out")
    saved = Image.open(tmp_path / "out" / "p1" / "p1_fused.png")
    assert saved.mode == "L"
    assert np.abs(np.asarray(saved).astype(float) - (mri.astype(float) + ct) / 2).max() <= 0.5
    assert Image.open(tmp_path / "out" / "p1" / "p1_comparison.png").mode == "RGB"


def test_16_bit_grey_png(write_picture, tmp_path):
    mri = np.arange(255, dtype=np.uint16).reshape(15, 17) * 257
    fuse([write_picture("m.tif", mri), write_picture("c.png", mri[::-1].copy())], tmp_path)
    saved = np.asarray(Image.open(tmp_path / "p1" / "p1_fused.png"))
    assert saved.dtype == np.uint16
    assert np.abs(saved.astype(float) - (mri.astype(float) + mri[::-1]) / 2).max() <= 0.51


def test_colour_png_keeps_the_functional_image(write_picture, noise, tmp_path):
    """With the PET's own luminance as result, the file must be the PET, pixel for pixel."""
    pet = noise((16, 12, 3), 1)
    paths = [write_picture("m.png", noise((16, 12))), write_picture("p.png", pet)]
    fuse(paths, tmp_path, LoadFusionPaird()({"image": paths})["image"].as_tensor()[1:])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "p1" / "p1_fused.png")), pet)


def test_16_bit_colour_png(write_picture, noise, tmp_path):
    pet = np.random.default_rng(1).integers(0, 65536, (6, 5, 3), dtype=np.uint16)
    itk.imwrite(itk.image_from_array(pet, is_vector=True), str(tmp_path / "p.png"))
    paths = [write_picture("m.png", noise((6, 5))), tmp_path / "p.png"]
    fuse(paths, tmp_path, LoadFusionPaird()({"image": paths})["image"].as_tensor()[1:])
    saved = itk.array_from_image(itk.imread(str(tmp_path / "p1" / "p1_fused.png"), pixel_type=itk.Vector[itk.F, 3]))
    assert np.abs(saved - pet).max() <= 1


@pytest.mark.parametrize("orientation", AFFINES)
def test_volume_keeps_its_geometry_exactly(write_volume, noise, tmp_path, orientation):
    affine = AFFINES[orientation]
    paths = [write_volume(f"{n}.nii.gz", noise((6, 7, 5), n).astype(np.int16), affine) for n in range(2)]
    image = nib.load(paths[0])
    image.set_sform(affine, code=2)
    image.set_qform(affine, code=1)
    nib.save(image, paths[0])
    mri = nib.load(paths[0])
    d = fuse(paths, tmp_path / "out")
    saved = nib.load(tmp_path / "out" / "p1" / "p1_fused.nii.gz")
    assert np.array_equal(saved.affine, mri.affine)
    assert np.array_equal(saved.get_sform(), mri.get_sform()) and np.array_equal(saved.get_qform(), mri.get_qform())
    assert (int(saved.header["sform_code"]), int(saved.header["qform_code"])) == (2, 1)
    assert saved.get_data_dtype() == np.float32
    assert np.array_equal(saved.get_fdata(dtype=np.float32), d["pred"][0].numpy())


def test_integer_scaling_of_the_source_does_not_leak(write_volume, noise, tmp_path):
    paths = [write_volume(f"{n}.nii.gz", noise((6, 7, 5), n).astype(np.int16)) for n in range(2)]
    image = nib.Nifti1Image(noise((6, 7, 5)).astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, paths[0])
    d = fuse(paths, tmp_path)
    saved = nib.load(tmp_path / "p1" / "p1_fused.nii.gz").get_fdata()
    assert np.allclose(saved, d["pred"][0].numpy()) and saved.max() <= 1


def test_colour_volume_becomes_rgb_nifti(write_volume, noise, tmp_path):
    pixels = noise((6, 7, 5, 3))
    voxels = np.zeros((6, 7, 5), [(name, "u1") for name in "RGB"])
    for channel, name in enumerate("RGB"):
        voxels[name] = pixels[..., channel]
    paths = [write_volume("m.nii.gz", noise((6, 7, 5), 1), OBLIQUE), write_volume("p.nii.gz", voxels, OBLIQUE)]
    fuse(paths, tmp_path, LoadFusionPaird()({"image": paths})["image"].as_tensor()[1:])
    saved = nib.load(tmp_path / "p1" / "p1_fused.nii.gz")
    assert np.array_equal(saved.affine, nib.load(paths[0]).affine)
    assert np.array_equal(np.asarray(saved.dataobj), voxels)


def test_dicom_series_becomes_nifti_on_its_grid(data_dir, tmp_path):
    series = data_dir / "dicom" / "prostatex-0001-adc"
    d = LoadFusionPaird(resample=True)(
        {"case": "adc", "image": [str(series), str(data_dir / "prostate" / "prostatex-0001" / "t2.nii.gz")]}
    )
    d["fused"] = d["image"].as_tensor()[:1]
    SaveFusedd(output_dir=str(tmp_path))(d)
    saved = nib.load(tmp_path / "adc" / "adc_fused.nii.gz")
    assert saved.shape == (84, 128, 19)
    assert np.allclose(saved.affine, d["image"].affine.numpy(), atol=1e-5)


def test_comparison_can_be_left_out(write_picture, noise, tmp_path):
    paths = [write_picture("m.png", noise((6, 6))), write_picture("c.png", noise((6, 6), 1))]
    fuse(paths, tmp_path / "out", comparison=False)
    folder = tmp_path / "out" / "p1"
    assert sorted(path.name for path in folder.iterdir()) == ["p1_fused.png", "p1_report.json"]
    report = json.loads((folder / "p1_report.json").read_text())
    assert report["files"] == ["p1_fused.png", "p1_report.json"]
    assert report["inputs"] == dict(zip(("mri", "other"), map(str, paths), strict=True))
