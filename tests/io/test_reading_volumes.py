"""NIfTI volumes, grey and in colour, and DICOM series."""

import shutil

import nibabel as nib
import numpy as np
import pytest

from shared_networks.errors import InputError
from shared_networks.io.reading import read_source, read_stacked_volume

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


def test_scaled_integers(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([1, 2, 3, 1]))
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / "a.nii.gz")
    stored = np.asarray(nib.load(tmp_path / "a.nii.gz").dataobj)
    source = read_source(tmp_path / "a.nii.gz")
    assert np.allclose(source.values, stored) and source.values.dtype == np.float32
    assert np.array_equal(source.affine, np.diag([1, 2, 3, 1])) and not source.normalised


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


@pytest.mark.parametrize(
    ("voxels", "message"),
    [
        (np.ones((4, 5, 6, 7), np.float32), r"4D image of shape \(4, 5, 6, 7\)"),
        (np.ones((4, 5, 6, 3), np.int16), "4D image"),
        (np.ones((4, 5, 6, 4), np.uint8), "4D image"),
        (np.ones(4, np.float32), "1D image"),
        (np.ones((4, 5, 6), np.complex64), "complex values"),
        (np.where(np.arange(60).reshape(3, 4, 5) < 2, np.nan, 1.0), "2 NaN or infinite values"),
        (np.where(np.arange(60).reshape(3, 4, 5) == 0, np.inf, 1.0), "1 NaN or infinite values"),
        (np.where(np.arange(60).reshape(3, 4, 5) == 0, 1e300, 1.0), "1 NaN or infinite values"),
    ],
)
def test_what_cannot_be_fused_is_refused_in_one_line(write_volume, voxels, message):
    path = write_volume("a.nii.gz", voxels)
    with pytest.raises(InputError, match=message) as caught:
        read_source(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated_volume_is_refused(write_volume, name, share):
    path = write_volume(name, np.random.default_rng(0).random((20, 20, 20)).astype(np.float32))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="cannot be read"):
        read_source(path)


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


@pytest.fixture
def series(data_dir, tmp_path):
    """A copy of a real series that may be changed."""
    folder = tmp_path / "series"
    shutil.copytree(data_dir / "dicom" / "prostatex-0001-adc", folder, copy_function=shutil.copyfile)
    return folder


def test_series_with_a_gap_is_refused(series):
    (series / "1-05.dcm").unlink()
    with pytest.raises(InputError, match="missing or unevenly spaced"):
        read_source(series)


def test_two_series_in_one_folder_are_refused(series):
    path = series / "1-05.dcm"
    content = bytearray(path.read_bytes())
    start = content.index(b"\x20\x00\x0e\x00UI") + 8  # Series Instance UID, after tag, type and length
    content[start : start + 4] = b"1.9."
    path.write_bytes(content)
    with pytest.raises(InputError, match="more than one DICOM series"):
        read_source(series)


def test_folder_of_empty_dicom_files_is_refused(tmp_path):
    (tmp_path / "1.dcm").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read"):
        read_source(tmp_path)
