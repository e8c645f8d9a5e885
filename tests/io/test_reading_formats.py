"""Volumes in other formats than NIfTI: the same voxels at the same places, or one line."""

import gzip
import re

import itk
import nibabel as nib
import numpy as np
import pytest

from shared_networks.errors import InputError
from shared_networks.io.file_names import file_kind, file_stem
from shared_networks.io.reading import read_source, read_stacked_volume
from shared_networks.io.reading_volumes import volume_files
from shared_networks.transforms import LoadModalitiesd

SHAPE = (7, 6, 5)
ANGLE = np.deg2rad(20)
OBLIQUE = np.array([[0, -2.5, 0, 30], [-0.9 * np.cos(ANGLE), 0, -3 * np.sin(ANGLE), 40], [0, 0, 0, 0], [0, 0, 0, 1.0]])
OBLIQUE[2] = [0.9 * np.sin(ANGLE), 0, -3 * np.cos(ANGLE), -20]


def voxels():
    return np.random.default_rng(0).integers(0, 1000, SHAPE).astype(np.int16)


def itk_image(values, affine, is_vector=False):
    """An ITK image of X x Y x Z (x channels) at the place that an affine to RAS names."""
    matrix = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    axes = (2, 1, 0, 3) if is_vector else (2, 1, 0)
    image = itk.image_from_array(np.ascontiguousarray(values.transpose(axes)), is_vector=is_vector)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    image.SetDirection(itk.matrix_from_array(matrix[:3, :3] / spacing))
    return image


def write(path, values, affine, compression=False):
    """Write a volume as its name says."""
    name = path.name
    if name.endswith((".mgz", ".mgh")):
        nib.save(nib.MGHImage(values, affine), path)
    elif name.endswith(".nii"):
        nib.save(nib.Nifti1Image(values, affine), path)
    elif name.endswith((".hdr", ".img")):
        nib.save(nib.Nifti1Pair(values, affine), path)
    else:
        itk.imwrite(itk_image(values, affine), str(path), compression=compression)
    return path


@pytest.mark.parametrize("affine", [OBLIQUE, np.diag([-1.5, -1.5, 3, 1])], ids=["oblique", "LPS"])
@pytest.mark.parametrize("name", ["a.mgz", "a.mgh", "a.hdr", "a.img", "a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compression", [False, True])
def test_voxels_and_places_are_those_that_were_written(tmp_path, name, affine, compression):
    source = read_source(write(tmp_path / name, voxels(), affine, compression))
    assert np.array_equal(source.values, voxels()) and source.values.dtype == np.float32
    assert np.allclose(source.affine, affine, atol=1e-4)
    assert source.warnings == [] and source.chroma is None


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_types(tmp_path, name, kind):
    values = (voxels() % 200).astype(kind)
    assert np.array_equal(read_source(write(tmp_path / name, values, OBLIQUE)).values, values)


def test_analyze_is_read_with_a_remark_about_its_orientation(tmp_path):
    nib.save(nib.AnalyzeImage(voxels(), np.diag([-2.0, 2, 3, 1])), tmp_path / "a.hdr")
    source = read_source(tmp_path / "a.img")
    assert np.array_equal(source.values, voxels())
    assert np.allclose(np.linalg.norm(source.affine[:3, :3], axis=0), [2, 2, 3])
    assert source.warnings == ["a.img: the format Analyze names no orientation; left and right are a guess"]


def test_nrrd_without_space_is_remarked(tmp_path):
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 7 6 5\nspacings: 1 1 2\nencoding: raw\nendian: little\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + voxels().tobytes(order="F"))
    source = read_source(tmp_path / "a.nrrd")
    assert np.array_equal(source.values, voxels()) and "names no orientation" in source.warnings[0]


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_colour_of_itk(tmp_path, name):
    pixels = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    itk.imwrite(itk_image(pixels, OBLIQUE, is_vector=True), str(tmp_path / name))
    source = read_source(tmp_path / name)
    assert source.normalised and np.allclose(source.affine, OBLIQUE, atol=1e-4)
    assert np.allclose(source.values, pixels @ [0.299, 0.587, 0.114] / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(*SHAPE, 3), (*SHAPE, 1, 3), (*SHAPE, 1, 4)])
def test_colour_as_a_vector_in_the_last_axis(write_volume, shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    pixels[..., 3:] = 255
    source = read_source(write_volume("a.nii.gz", pixels))
    rgb = pixels.reshape(*SHAPE, shape[-1])[..., :3]
    assert np.allclose(source.values, rgb @ [0.299, 0.587, 0.114] / 255, atol=1e-6) and source.chroma is not None
    assert "channels of 8 bit in the last axis were read as colour" in source.warnings[0]


def test_opacity_of_colour_volumes(write_volume):
    pixels = np.zeros(SHAPE, [(name, "u1") for name in "RGBA"])
    pixels["R"] = pixels["G"] = pixels["B"] = 100
    assert np.allclose(read_source(write_volume("unset.nii", pixels)).values, 100 / 255)  # never set
    pixels["A"] = 255
    pixels["A"][0] = 51
    source = read_source(write_volume("a.nii", pixels))
    assert np.allclose(source.values[1:], 100 / 255) and np.allclose(source.values[0], 20 / 255)
    assert "transparent voxels were put on black" in source.warnings[0]


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e3), ("micron", 1e-3), ("mm", 1.0)])
def test_lengths_become_millimetres(tmp_path, unit, factor):
    """A head of 1 x 1 x 3 mm voxels, written in another unit."""
    image = nib.Nifti1Image(voxels(), np.diag([1 / factor, 1 / factor, 3 / factor, 1]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii.gz")
    source = read_source(tmp_path / "a.nii.gz")
    assert np.allclose(source.affine, np.diag([1, 1, 3, 1]), rtol=1e-6)
    assert bool(source.warnings) == (factor != 1.0)
    stacked = nib.Nifti1Image(np.stack([voxels()] * 2, axis=-1), image.affine)
    stacked.header.set_xyzt_units(unit)
    nib.save(stacked, tmp_path / "b.nii.gz")
    first, second = read_stacked_volume(tmp_path / "b.nii.gz")
    assert np.allclose(first.affine, source.affine) and np.allclose(second.affine, source.affine)


@pytest.mark.parametrize("unit", ["meter", "micron"])
def test_a_unit_that_fits_no_head_is_a_mistake(tmp_path, unit):
    image = nib.Nifti1Image(voxels(), np.diag([1.0, 1, 3, 1]))
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    source = read_source(tmp_path / "a.nii")
    assert np.allclose(source.affine, np.diag([1, 1, 3, 1]))
    assert f"the header says {unit}, which fits no image of a head; taken as mm" in source.warnings[0]


def test_one_grid_in_two_units_is_one_grid(tmp_path):
    inside = np.pad(np.random.default_rng(0).integers(100, 900, (2, 8, 8, 8)), [(0, 0), *[(2, 2)] * 3])
    for name, unit, factor in (("t1", "mm", 1.0), ("flair", "micron", 1000.0)):
        image = nib.Nifti1Image(inside[int(name == "flair")].astype(np.int16), np.diag([factor] * 3 + [1]))
        image.header.set_xyzt_units(unit)
        nib.save(image, tmp_path / f"{name}.nii.gz")
    loaded = LoadModalitiesd(label_key="")({"image": [str(tmp_path / "t1.nii.gz"), str(tmp_path / "flair.nii.gz")]})
    assert loaded["brain"].sum() == 8**3 and np.allclose(loaded["image"].affine, np.eye(4))


def test_a_slice_is_a_volume_of_one_slice_for_gesenet_only(write_volume):
    path = write_volume("a.nii.gz", voxels()[..., 0], np.diag([1, 2, 3, 1]))
    source = read_source(path)
    assert source.values.shape == (7, 6, 1) and source.is_slice
    with pytest.raises(InputError, match="a 2D image; expected a 3D volume"):
        LoadModalitiesd()({"image": [str(path), str(write_volume("b.nii.gz", voxels()[..., 1]))]})


def test_two_volumes_in_the_last_axis_of_mgz(tmp_path):
    both = np.stack([voxels(), voxels()[::-1]], axis=-1).astype(np.float32)
    nib.save(nib.MGHImage(both, OBLIQUE), tmp_path / "a.mgz")
    first, second = read_stacked_volume(tmp_path / "a.mgz")
    assert np.array_equal(first.values, voxels()) and np.array_equal(second.values, voxels()[::-1])
    assert read_stacked_volume(write(tmp_path / "b.nrrd", voxels(), OBLIQUE)) is None


def test_files_of_a_volume(tmp_path):
    write(tmp_path / "a.hdr", voxels(), OBLIQUE)
    assert (
        volume_files(tmp_path / "a.img") == volume_files(tmp_path / "a.hdr") == [tmp_path / "a.hdr", tmp_path / "a.img"]
    )
    assert file_kind(tmp_path / "a.hdr") == "volume" and file_kind(tmp_path / "a.img") == ""
    write(tmp_path / "b.mhd", voxels(), OBLIQUE)
    assert [file.name for file in volume_files(tmp_path / "b.mhd")] == ["b.mhd", "b.raw"]
    write(tmp_path / "c.nhdr", voxels(), OBLIQUE)
    assert [file.name for file in volume_files(tmp_path / "c.nhdr")] == ["c.nhdr", "c.raw"]
    assert volume_files(write(tmp_path / "d.mha", voxels(), OBLIQUE)) == [tmp_path / "d.mha"]
    assert file_stem("d.mha") == file_stem("d.nrrd") == file_stem("d.img.gz") == "d"


def compress_data(path):
    image = path.with_suffix(".img")
    image.with_name("a.img.gz").write_bytes(gzip.compress(image.read_bytes()))
    image.unlink()


def remove_data(path):
    next(path.parent.glob("*.raw")).unlink()


def change_text(old, new):
    return lambda path: path.write_bytes(path.read_bytes().replace(old, new))


@pytest.mark.parametrize(
    ("name", "harm", "message"),
    [
        ("a.mhd", remove_data, r"a.mhd: a.raw, which holds its voxels, is not there; copy both files"),
        ("a.nhdr", remove_data, r"a.nhdr: .*a.raw, which holds its voxels, is not there"),
        ("a.mhd", change_text(b"a.raw", b"LIST"), "its voxels lie in several files; save it as one file"),
        (
            "a.mha",
            change_text(b"DimSize = 7 6 5", b"DimSize = 9999 9999 5"),
            "says 499900005 voxels|says 999800010 bytes",
        ),
        ("a.mha", change_text(b"DimSize = 7 6 5", b"DimSize = 7 6 9"), "the header says 756 bytes|cannot be read"),
        ("a.nrrd", change_text(b"sizes: 7 6 5", b"sizes: 99999 99999 9"), "voxels; expected at most"),
        ("a.nrrd", lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be read"),
        ("a.mha", lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be read"),
        ("a.mgz", lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be read"),
        ("a.mgh", lambda path: path.write_bytes(path.read_bytes()[:400]), "cannot be read"),
        ("a.hdr", lambda path: path.with_suffix(".img").write_bytes(b"1234"), "cannot be read"),
        ("a.hdr", lambda path: path.with_suffix(".img").unlink(), "a.img, which holds its voxels, is not there"),
        ("a.img", lambda path: path.with_suffix(".hdr").unlink(), "its header, a.hdr, is not there; copy both files"),
        ("a.hdr", compress_data, "one of it and a.img.gz is compressed; compress or unpack both files"),
        ("a.nrrd", change_text(b"encoding: raw", b"encoding: bzip2"), "compressed by bzip2; save it uncompressed"),
        ("a.nrrd", lambda path: path.write_bytes(b"no volume"), "cannot be read"),
        ("a.mgz", lambda path: path.write_bytes(gzip.compress(b"no volume")), "cannot be read"),
        ("a.mhd", change_text(b"BinaryData = True", b"BinaryData = False"), "its voxels are numbers in a text file"),
        (
            "a.nii",
            lambda path: path.write_bytes(path.read_bytes()[:108] + bytes(4) + path.read_bytes()[112:]),
            "byte 0",
        ),
    ],
)
def test_damaged_files_are_one_line(tmp_path, name, harm, message):
    path = write(tmp_path / name, voxels(), OBLIQUE)
    harm(path)
    with pytest.raises(InputError, match=message) as caught:
        read_source(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize(("unit", "factor"), [("um", 1e-3), ("cm", 10.0), ("m", 1e3), ("mm", 1.0)])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lengths_of_nrrd_become_millimetres(tmp_path, unit, factor, end):
    lines = ["NRRD0004", "type: short", "dimension: 3", "space: LPS", "sizes: 7 6 5", "endian: little", "encoding: raw"]
    steps = " ".join(f"({', '.join(f'{value / factor:.10g}' for value in row)})" for row in np.diag([1, 1, 3]))
    lines += [
        f"space directions: {steps}",
        f"space origin: ({20 / factor:.10g}, 0, 0)",
        f'space units: "{unit}" "{unit}" "{unit}"',
    ]
    (tmp_path / "a.nrrd").write_bytes(end.join([*lines, "", ""]).encode() + voxels().tobytes(order="F"))
    source = read_source(tmp_path / "a.nrrd")
    assert np.array_equal(source.values, voxels())
    assert np.allclose(source.affine, [[-1, 0, 0, -20], [0, -1, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]])
    assert source.warnings == (
        ["a.nrrd: the header gives lengths in another unit, which were turned into mm"] * (factor != 1)
    )


@pytest.mark.parametrize("kind", ["SHORT", "DOUBLE"])
def test_metaimage_as_text_and_with_a_scale(tmp_path, kind):
    """Numbers with two digits are shorter than a double."""
    scale = "ElementToIntensityFunctionSlope = 2\nElementToIntensityFunctionOffset = -1024\n"
    header = f"ObjectType = Image\nNDims = 3\nBinaryData = False\nDimSize = 7 6 5\n{scale}ElementSpacing = 1 1 2\n"
    numbers = " ".join(map(str, (voxels() // 10).ravel(order="F")))
    (tmp_path / "a.mha").write_text(f"{header}ElementType = MET_{kind}\nElementDataFile = LOCAL\n{numbers}\n")
    assert np.array_equal(read_source(tmp_path / "a.mha").values, voxels() // 10 * 2 - 1024)


def test_the_reason_of_itk_is_what_it_says_last(tmp_path):
    header = "NRRD0004\ntype: short\ndimension: 4\nspace: LPS\nsizes: 1 7 6 5\nkinds: domain domain domain domain\n"
    header += "space directions: none (1,0,0) (0,1,0) (0,0,1)\nencoding: raw\nendian: little\n\n"
    (tmp_path / "a.nrrd").write_bytes(header.encode() + voxels().tobytes(order="F"))
    with pytest.raises(
        InputError, match=r"a.nrrd: cannot be read \(RuntimeError: ReadImageInformation: number of domain"
    ):
        read_source(tmp_path / "a.nrrd")


def test_lengths_of_metaimage_become_millimetres(tmp_path):
    text = "ObjectType = Image\nNDims = 3\nDimSize = 7 6 5\nElementSpacing = 1000 2000 3000\nDistanceUnits = um\n"
    head = f"{text}ElementType = MET_SHORT\nElementDataFile = LOCAL\n".encode()
    (tmp_path / "a.mha").write_bytes(head + voxels().T.tobytes())
    source = read_source(tmp_path / "a.mha")
    assert np.array_equal(source.values, voxels()) and np.allclose(source.affine, np.diag([-1, -2, 3, 1]))
    assert "lengths in another unit, which were turned into mm" in source.warnings[0]


def test_a_compressed_pair(tmp_path):
    nib.save(nib.Nifti1Pair(voxels(), OBLIQUE), tmp_path / "a.hdr")
    for ending in ("hdr", "img"):
        (tmp_path / f"a.{ending}.gz").write_bytes(gzip.compress((tmp_path / f"a.{ending}").read_bytes()))
        (tmp_path / f"a.{ending}").unlink()
    for name in ("a.hdr.gz", "a.img.gz"):
        source = read_source(tmp_path / name)
        assert np.array_equal(source.values, voxels()) and np.allclose(source.affine, OBLIQUE, atol=1e-5)
    assert [file_kind(tmp_path / name) for name in ("a.hdr.gz", "a.img.gz")] == ["volume", ""]
    assert volume_files(tmp_path / "a.hdr.gz") == [tmp_path / "a.hdr.gz", tmp_path / "a.img.gz"]


def test_the_matrix_of_spm_is_an_orientation(tmp_path):
    nib.save(nib.Spm2AnalyzeImage(voxels(), OBLIQUE), tmp_path / "a.img")
    source = read_source(tmp_path / "a.img")
    assert np.allclose(source.affine, OBLIQUE, atol=1e-5) and source.warnings == []
    (tmp_path / "a.mat").unlink()
    assert "the format Analyze names no orientation" in read_source(tmp_path / "a.img").warnings[0]


@pytest.mark.parametrize(
    ("kind", "scale", "axes", "intent", "read"),
    [
        (np.uint8, 1, 4, 0, True),
        (np.uint8, 1, 5, 0, True),
        (np.int16, 1, 5, 0, True),
        (np.float32, 1, 5, 1007, True),
        (np.float32, 1 / 255, 5, 1007, True),
        (np.float32, 1 / 255, 4, 2003, True),
        (np.float32, 1.5, 5, 1007, False),  # neither whole numbers nor 0 to 1
        (np.float32, -1, 5, 1007, False),  # a field of displacements
        (np.int16, 1, 4, 0, False),  # three time points
    ],
)
def test_numbers_that_are_colour_for_certain(tmp_path, kind, scale, axes, intent, read):
    colours = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3))
    stored = (colours * scale).astype(kind).reshape(*SHAPE, *([1] if axes == 5 else []), 3)
    image = nib.Nifti1Image(stored, OBLIQUE)
    image.header["intent_code"] = intent
    nib.save(image, tmp_path / "a.nii")
    if not read:
        with pytest.raises(InputError, match="expected a 3D volume"):
            read_source(tmp_path / "a.nii")
        return
    source = read_source(tmp_path / "a.nii")
    assert np.abs(source.values - colours @ [0.299, 0.587, 0.114] / 255).max() < 1e-5
    assert source.chroma is not None and "3 channels of" in source.warnings[0]


def test_four_channels_are_colour_where_the_last_is_opaque(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (*SHAPE, 4)).astype(np.uint8)
    nib.save(nib.Nifti1Image(colours, OBLIQUE), tmp_path / "a.nii")
    with pytest.raises(InputError, match="4D image of shape"):
        read_source(tmp_path / "a.nii")
    colours[..., 3] = 255
    nib.save(nib.Nifti1Image(colours, OBLIQUE), tmp_path / "a.nii")
    assert np.abs(read_source(tmp_path / "a.nii").values - colours[..., :3] @ [0.299, 0.587, 0.114] / 255).max() < 1e-5


@pytest.mark.parametrize("name", ["a.mha", "a.mhd"])
def test_compressed_voxels_of_metaimage_that_cannot_be_unpacked_are_not_made_up(tmp_path, name):
    """ITK returns what is in memory then."""
    path = write(tmp_path / name, voxels(), OBLIQUE, compression=True)
    data = path if name == "a.mha" else tmp_path / "a.zraw"
    header, content = path.read_bytes(), data.read_bytes()
    assert np.array_equal(read_source(path).values, voxels())
    middle = len(content) - 100
    data.write_bytes(content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :])
    with pytest.raises(InputError, match=f"{name}: cannot be read, its compressed voxels are damaged; copy"):
        read_source(path)
    data.write_bytes(content)
    path.write_bytes(re.sub(rb"CompressedDataSize = \d+", b"CompressedDataSize = 9", header))
    with pytest.raises(InputError, match=r"cannot be read, its header does not say that \d+ bytes are compressed"):
        read_source(path)
    path.write_bytes(re.sub(rb"CompressedDataSize = \d+\n", b"", header))
    if name == "a.mhd":  # all of the other file is meant
        assert np.array_equal(read_source(path).values, voxels())
        return
    with pytest.raises(InputError, match=r"cannot be read, its header does not say that \d+ bytes are compressed"):
        read_source(path)
    path.write_bytes(header.replace(b"DimSize = 7 6 5", b"DimSize = 7 6 4"))
    with pytest.raises(InputError, match="its compressed voxels are damaged"):
        read_source(path)
