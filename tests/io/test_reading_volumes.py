"""NIfTI volumes, grey and in colour, and DICOM series; bad ones are in tests/robustness/bad_volumes.py."""

import os

import nibabel as nib
import numpy as np
import pytest

from shared_networks.errors import InputError
from shared_networks.io.content_hash import files_hash
from shared_networks.io.geometry_checks import check_affine
from shared_networks.io.reading import read_source, read_stacked_volume
from shared_networks.io.source_geometry import like_source

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def test_scaled_integers(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1, 2, 3, 1]))
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / "a.nii.gz")
    stored = np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj)
    source = read_source(tmp_path / "a.nii.gz")
    assert np.allclose(source.values, stored) and source.values.dtype == np.float32
    assert np.array_equal(source.affine, np.diag([1, 2, 3, 1])) and not source.normalised


@pytest.mark.parametrize("ending", [".Nii.gz", ".nii.GZ", ".Nii", ".NII.GZ", ".Mgz", ".MGH"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_endings_in_any_mix_of_capitals(tmp_path, ending, kind):
    kind = nib.MGHImage if "mg" in ending.lower() else kind
    nib.save(
        kind(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1, 2, 3, 1])), tmp_path / f"a{ending.lower()}"
    )
    (tmp_path / f"a{ending.lower()}").rename(tmp_path / f"b{ending}")
    source = read_source(tmp_path / f"b{ending}")
    assert np.array_equal(source.values.ravel(), np.arange(24)) and np.allclose(source.affine, np.diag([1, 2, 3, 1]))
    assert like_source(np.ones((2, 3, 4)), source.affine, str(source.path), "").shape == (2, 3, 4)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in its file system")
@pytest.mark.parametrize("name", ["t1.nii.gz", "ct.png", "IM0001.dcm", "t1.mha"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name}: neither a file nor a folder"):
        read_source(tmp_path / name)
    with pytest.raises(OSError, match="no file"):
        files_hash([tmp_path / name])


PLACE = np.array([[-0.9, 0.0, 0, 10], [0, 0.9, 0, -20], [0, 0, 3, 5], [0, 0, 0, 1.0]])


def with_forms(path, sform, sform_code, qform_code=1):
    """A volume with the qform ``PLACE`` and any sform."""
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), PLACE)
    image.set_qform(PLACE, qform_code)
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        image.header[name] = sform[row]
    image.header["sform_code"] = sform_code
    # nibabel would write the affine of the image into the header
    content = bytearray(image.header.binaryblock + b"\0" * 4 + image.get_fdata().astype("<i2").tobytes(order="F"))
    content[108:112] = np.float32(352).tobytes()
    content[344:348] = b"n+1\0"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("sform", [np.zeros((3, 4)), np.full((3, 4), np.nan), np.diag([1.0, 1, 0, 1])[:3]])
def test_a_sform_that_is_no_matrix_gives_way_to_the_qform(tmp_path, sform):
    source = read_source(with_forms(tmp_path / "a.nii", sform, 1))
    assert np.allclose(source.affine, PLACE, atol=1e-5)
    assert source.warnings == ["a.nii: the sform of the header is no matrix of voxels; the qform was used"]
    with_code_0 = read_source(with_forms(tmp_path / "b.nii", sform, 0))
    assert np.allclose(with_code_0.affine, PLACE, atol=1e-5) and with_code_0.warnings == []
    without = read_source(with_forms(tmp_path / "c.nii", sform, 1, qform_code=0))
    with pytest.raises(InputError, match=r"c.nii: the affine (is singular|holds NaN)"):
        check_affine(without)


def test_trailing_axes_of_length_one_do_not_matter(write_volume):
    source = read_source(write_volume("a.nii", np.ones((4, 5, 6, 1, 1), np.float32)))
    assert source.values.shape == (4, 5, 6)


def test_colour_volume(write_volume, noise):
    pixels = noise((4, 5, 6, 3))
    voxels = np.zeros((4, 5, 6), RGB)
    for channel, name in enumerate("RGB"):
        voxels[name] = pixels[..., channel]
    source = read_source(write_volume("a.nii.gz", voxels))
    assert source.normalised and source.chroma.shape == (2, 4, 5, 6)
    assert np.allclose(source.values, pixels @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    voxels["R"] = voxels["G"] = voxels["B"]
    assert read_source(write_volume("b.nii.gz", voxels)).chroma is None


@pytest.mark.parametrize("shape", [(4, 5, 6, 2), (4, 5, 6, 1, 2)])
def test_stacked_volume_is_split(write_volume, shape):
    voxels = np.random.default_rng(0).random(shape).astype(np.float32)
    mri, other = read_stacked_volume(write_volume("a.nii.gz", voxels, np.diag([2, 2, 3, 1])))
    assert np.array_equal(mri.values, voxels[..., 0].reshape(4, 5, 6))
    assert np.array_equal(other.values, voxels[..., 1].reshape(4, 5, 6))
    assert np.array_equal(other.affine, np.diag([2, 2, 3, 1]))
    assert read_stacked_volume(write_volume("b.nii.gz", voxels[..., 0])) is None


def test_dicom_series_equals_the_volume_made_from_it(data_dir):
    source = read_source(data_dir / "dicom" / "prostatex-0001-adc")
    assert source.values.shape == (84, 128, 19)
    assert np.allclose(np.linalg.norm(source.affine[:3, :3], axis=0), [2, 2, 3], atol=1e-4)
    # the shipped NIfTI is the same series, resampled linearly to the T2 grid: look its values up there
    volume = nib.load(data_dir / "prostate" / "prostatex-0001" / "adc.nii.gz")
    index = np.array([42, 64, 9])
    there = np.linalg.inv(volume.affine) @ source.affine @ np.append(index, 1)
    near = np.rint(there[:3]).astype(int)
    patch = volume.get_fdata()[near[0] - 2 : near[0] + 3, near[1] - 2 : near[1] + 3, near[2]]
    assert patch.min() * 0.9 <= source.values[tuple(index)] <= patch.max() * 1.1


@pytest.mark.parametrize(
    ("written", "named", "remedy"), [("a.nii.gz", "b.nii", "b.nii.gz"), ("a.nii", "b.nii.gz", "b.nii")]
)
def test_a_wrong_ending_is_told_from_damage(write_volume, written, named, remedy):
    path = write_volume(written, np.ones((4, 5, 6), np.float32))
    path = path.rename(path.with_name(named))
    with pytest.raises(InputError, match=f"compressed, .*; rename it to {remedy}\\.$"):
        read_source(path)
    with pytest.raises(InputError, match=f"rename it to {remedy}"):
        read_stacked_volume(path)
    assert read_source(path.rename(path.with_name(remedy))).values.shape == (4, 5, 6)
