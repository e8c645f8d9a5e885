"""Series folders: what is read of good ones, and what bad ones are told."""

import shutil

import numpy as np
import pytest
from nibabel.affines import apply_affine

from shared_networks.errors import InputError
from shared_networks.io.file_names import file_kind
from shared_networks.io.reading import read_source
from shared_networks.transforms import LoadModalitiesd

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
series_writer = pytest.importorskip("tests.io.series_writer")
change, write_series = series_writer.change, series_writer.write_series

SHAPE = (7, 6, 5)
ANGLES = np.deg2rad([20, -15])
TILT = np.eye(4)
TILT[:3, :3] = np.array(
    [[np.cos(ANGLES[0]), -np.sin(ANGLES[0]), 0], [np.sin(ANGLES[0]), np.cos(ANGLES[0]), 0], [0, 0, 1]]
) @ np.array([[1, 0, 0], [0, np.cos(ANGLES[1]), -np.sin(ANGLES[1])], [0, np.sin(ANGLES[1]), np.cos(ANGLES[1])]])
AXIAL = np.array([[-0.9, 0, 0, 80], [0, -1.1, 0, 90], [0, 0, 3, -40], [0, 0, 0, 1.0]])
SAGITTAL = np.array([[0, 0, 2, -20], [-1, 0, 0, 100], [0, -0.8, 0, 70], [0, 0, 0, 1.0]])
CORONAL = np.array([[-1, 0, 0, 90], [0, 0, -2.5, -50], [0, -0.7, 0, 60], [0, 0, 0, 1.0]])


def voxels(seed=0, shape=SHAPE):
    return np.random.default_rng(seed).integers(1, 1000, shape).astype(np.int16)


@pytest.mark.parametrize("affine", [AXIAL, TILT @ AXIAL, TILT @ SAGITTAL, TILT @ CORONAL])
def test_voxels_and_affine_are_those_that_were_written(tmp_path, affine):
    assert np.linalg.det(affine) > 0
    write_series(tmp_path / "t1", voxels(), affine)
    source = read_source(tmp_path / "t1")
    assert source.values.dtype == np.float32 and np.array_equal(source.values, voxels())
    assert np.allclose(source.affine, affine, atol=1e-6)
    assert source.patient == "P1 Doe^Jane" and source.warnings == []


def test_slices_of_a_left_handed_stack_are_turned_round_with_their_affine(tmp_path):
    mirrored = TILT @ AXIAL @ np.diag([1, 1, -1, 1])
    write_series(tmp_path / "t1", voxels(), mirrored)
    source = read_source(tmp_path / "t1")
    assert np.array_equal(source.values, voxels()[:, :, ::-1])
    assert np.allclose(apply_affine(source.affine, [2, 3, 0]), apply_affine(mirrored, [2, 3, SHAPE[2] - 1]), atol=1e-6)


def test_names_without_suffix_and_files_that_are_no_images(tmp_path):
    write_series(tmp_path / "t1", voxels(), AXIAL, name="1.3.12.{number}")
    (tmp_path / "t1" / "readme.txt").write_text("exported")
    report = pydicom.dcmread(tmp_path / "t1" / "1.3.12.1", stop_before_pixels=True)
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    for name in ("Rows", "Columns", "BitsAllocated", "SamplesPerPixel"):
        delattr(report, name)
    report.save_as(tmp_path / "t1" / "report.dcm")
    assert file_kind(tmp_path / "t1") == "series"
    assert np.array_equal(read_source(tmp_path / "t1").values, voxels())


def test_every_slice_has_its_own_rescaling(tmp_path):
    slopes = np.array([1.0, 0.5, 0.37, 2.25, 1.5])
    write_series(tmp_path / "pet", voxels(), AXIAL, slopes=slopes)
    assert np.allclose(read_source(tmp_path / "pet").values, voxels() * slopes, rtol=1e-6)


@pytest.mark.parametrize("syntax", ["RLELossless", "JPEGLSLossless"])
def test_lossless_compression_is_read(tmp_path, syntax):
    if syntax == "JPEGLSLossless":
        pytest.importorskip("jpeg_ls", reason="pyjpegls, which compresses the images of this test, is not installed")
    shape = (16, 12, 3)
    write_series(tmp_path / "t1", voxels(shape=shape), AXIAL)
    for path in (tmp_path / "t1").iterdir():
        image = pydicom.dcmread(path)
        image.compress(getattr(pydicom.uid, syntax), generate_instance_uid=False)
        image.save_as(path)
    assert np.array_equal(read_source(tmp_path / "t1").values, voxels(shape=shape))


def test_a_single_slice_is_as_thick_as_it_says(tmp_path):
    write_series(tmp_path / "t1", voxels(shape=(7, 6, 1)), AXIAL)
    assert np.allclose(read_source(tmp_path / "t1").affine, AXIAL, atol=1e-6)
    change(tmp_path / "t1" / "0001.dcm", SliceThickness=None, SpacingBetweenSlices="2.5")
    assert np.linalg.norm(read_source(tmp_path / "t1").affine[:3, 2]) == pytest.approx(2.5)
    change(tmp_path / "t1" / "0001.dcm", SpacingBetweenSlices=None)
    source = read_source(tmp_path / "t1")
    assert np.linalg.norm(source.affine[:3, 2]) == pytest.approx(1.0)
    assert np.allclose(source.affine[:, [0, 1, 3]], AXIAL[:, [0, 1, 3]], atol=1e-6)
    assert source.warnings == ["t1: a single slice that states no thickness, which was taken as 1 mm"]


@pytest.mark.parametrize(
    "orientation", [[0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [1, 0, 0, 0.3, 0.95, 0], [2, 0, 0, 0, 2, 0]]
)
def test_an_orientation_that_is_none_is_named(tmp_path, orientation):
    write_series(tmp_path / "t1", voxels(), AXIAL, ImageOrientationPatient=orientation)
    with pytest.raises(InputError, match=r"t1: the orientation of its slices is none, .*; give the original series"):
        read_source(tmp_path / "t1")


def test_one_of_several_series_is_chosen_by_number_description_or_uid(tmp_path):
    write_series(tmp_path / "study", voxels(0), AXIAL, name="a{number}.dcm")
    uid = write_series(
        tmp_path / "study", voxels(1), AXIAL, name="b{number}.dcm", SeriesNumber=12, SeriesDescription="t2 flair"
    )
    with pytest.raises(InputError) as caught:
        read_source(tmp_path / "study")
    text = str(caught.value)
    assert "more than one DICOM series" in text and "\n" not in text
    assert "3 't1 mprage' (5 images, " in text and f"12 't2 flair' (5 images, {uid})" in text
    assert f"as in {tmp_path / 'study'}#3." in text
    for choice in ("12", "t2 flair", uid):
        assert np.array_equal(read_source(f"{tmp_path / 'study'}#{choice}").values, voxels(1))
    with pytest.raises(InputError, match="0 series fit '4'; there are: 3 't1 mprage'"):
        read_source(f"{tmp_path / 'study'}#4")
    both = LoadModalitiesd(label_key="")({"image": [f"{tmp_path / 'study'}#{number}" for number in (3, 12)]})
    assert both["image"].shape == (2, *SHAPE)


def gap(folder):
    (folder / "0003.dcm").unlink()


def truncated_end(folder):
    # seen from its ends the stack is regular without it
    content = (folder / "0001.dcm").read_bytes()
    (folder / "0001.dcm").write_bytes(content[:-20])


def empty_end(folder):
    for path in folder.iterdir():
        path.rename(path.with_suffix(""))
    (folder / "0001").write_bytes(b"")
    (folder / "COMPLETE").write_bytes(b"")  # a mark, not a slice


def two_echoes(folder):
    for path in sorted(folder.iterdir()):
        shutil.copy(path, folder / f"e{path.name}")
        # another volume at the same places
        change(folder / f"e{path.name}", SOPInstanceUID=pydicom.uid.generate_uid(), PixelData=bytes(2 * 7 * 6))


def localiser(folder):
    change(folder / "0002.dcm", ImageOrientationPatient=[0, 1, 0, 0, 0, -1])


def other_size(folder):
    change(folder / "0002.dcm", Rows=3)


def other_spacing(folder):
    change(folder / "0002.dcm", PixelSpacing=[2, 2])


def no_position(folder):
    change(folder / "0002.dcm", ImagePositionPatient=None)


def spacing_of_none(folder):
    for path in folder.iterdir():
        change(path, PixelSpacing=[-1, 1])


def two_patients(folder):
    change(folder / "0002.dcm", PatientID="P2")


def frames(folder):
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    content = pydicom.dcmread(folder / "0001.dcm").PixelData
    change(folder / "0001.dcm", NumberOfFrames=2, PixelData=content * 2)


def unknown_compression(folder):
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image.PixelData = pydicom.encaps.encapsulate([b"\xff\x4f\xff\x51" + b"\0" * 60])
        image["PixelData"].is_undefined_length = True
        image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.201"  # high-throughput JPEG 2000
        image.save_as(path)


def no_images(folder):
    for path in folder.iterdir():
        change(path, PixelData=None, Rows=None, Columns=None)


def text_only(folder):
    for path in folder.iterdir():
        path.write_text("no image")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (gap, r"missing or unevenly spaced \(6 mm between slices 2 and 3 of 4, elsewhere 3 mm\)"),
        (truncated_end, r"0001\.dcm: cannot be read"),
        (empty_end, "0001: the file is empty, and may belong to the DICOM series; copy it again, or take it away"),
        (two_echoes, "5 slices of the DICOM series lie where another one lies"),
        (localiser, "slices in different directions"),
        (other_size, r"0002\.dcm: cannot be read|slices of different size"),
        (other_spacing, "slices of different size or pixel spacing"),
        (no_position, "slices without position"),
        (spacing_of_none, "a pixel spacing of -1 mm; correct the headers"),
        (two_patients, "slices of 2 patients in one DICOM series; give each of them a folder"),
        (frames, "2 frames without position, a film and not a volume"),
        (unknown_compression, r"the pixels cannot be decoded \(transfer syntax 1\.2\.840\.10008\.1\.2\.4\.201\); if"),
        (no_images, "none of its 5 DICOM files can be read as an image"),
        (text_only, "none of its 5 DICOM files can be read as an image"),
    ],
)
def test_bad_series_are_refused_in_one_line(tmp_path, spoil, message):
    folder = tmp_path / "t1"
    write_series(folder, voxels(), AXIAL)
    spoil(folder)
    with pytest.raises(InputError, match=message) as caught:
        read_source(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "empty", "refused"),
    [
        (("a{number}.dcm", "b{number}.dcm"), "b7.dcm", ["b"]),
        (("series1-{number}", "series2-{number}"), "series2-7", ["b"]),
        (("series1-{number}", "series2-{number}"), "series3-7", []),  # no ending, and named like neither
        (("1.2.3.1{number}", "1.2.3.2{number}"), "1.2.3.27", ["a", "b"]),  # the last numbers differ in any case
        (("{number}.dcm", "b{number}.dcm"), "other.dcm", ["a", "b"]),  # of a third one, or of these
    ],
)
def test_an_empty_file_is_of_the_series_that_it_is_named_like(tmp_path, names, empty, refused):
    for number, name in enumerate(names):
        write_series(tmp_path, voxels(number), AXIAL, name=name, SeriesDescription="ab"[number])
    (tmp_path / empty).write_bytes(b"")
    for number, chosen in enumerate("ab"):
        if chosen in refused:
            with pytest.raises(InputError, match=f"{empty}: the file is empty, and may belong to the DICOM series"):
                read_source(f"{tmp_path}#{chosen}")
        else:
            assert np.array_equal(read_source(f"{tmp_path}#{chosen}").values, voxels(number))


def test_a_report_beside_whose_uid_begins_like_that_of_the_series_is_no_slice(tmp_path):
    uid = "1.2.840.99999.4"
    write_series(tmp_path, voxels(), AXIAL, SeriesInstanceUID=uid)
    for number, other in enumerate([f"{uid}1", f"{uid}.2", f"1.{uid}"]):
        shutil.copy(tmp_path / "0001.dcm", tmp_path / f"report{number}")
        change(tmp_path / f"report{number}", SeriesInstanceUID=other, PixelData=None, Rows=None, Columns=None)
    assert np.array_equal(read_source(tmp_path).values, voxels())
    change(tmp_path / "report0", SeriesInstanceUID=uid)
    with pytest.raises(InputError, match="report0: cannot be read, but belongs to the DICOM series"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("kinds", "remark"),
    [
        (
            ["ORIGINAL", "PRIMARY", "P", "ND"],
            "a phase image, as its header says (ImageType P); is it the right series?",
        ),
        (["DERIVED", "SECONDARY", "PROJECTION IMAGE"], "a projection, as its header says (ImageType PROJECTION IMAGE)"),
        (["DERIVED", "PRIMARY", "M", "ND"], ""),
        (["P"], ""),
    ],
)
def test_series_that_are_rarely_meant_are_named(tmp_path, kinds, remark):
    write_series(tmp_path / "t1", voxels(), AXIAL, ImageType=kinds)
    found = read_source(tmp_path / "t1").warnings
    assert [text.startswith(f"t1: {remark}") for text in found] == [True] * bool(remark)


@pytest.mark.parametrize("name", ["none", "note.txt"])
def test_folders_without_dicom_are_refused(tmp_path, name):
    (tmp_path / name).write_text("no image")
    with pytest.raises(InputError, match=r"not a supported image; expected a .* folder of one DICOM series"):
        read_source(tmp_path)


def test_the_named_choice_chooses_the_largest_series(tmp_path):
    """Two of one number and description have their UIDs only; a localiser is not what is wanted."""
    study = tmp_path / "study"
    for seed in range(2):
        write_series(study, voxels(seed), AXIAL, name=f"{seed}_{{number}}.dcm")
    with pytest.raises(InputError) as caught:
        read_source(study)
    named = str(caught.value).rpartition("as in ")[2].removesuffix(".")
    assert any(np.array_equal(read_source(named).values, voxels(seed)) for seed in range(2))
    small = voxels(3, (*SHAPE[:2], 3))
    write_series(tmp_path / "mixed", small, AXIAL, name="l{number}.dcm", SeriesNumber=1, SeriesDescription="localizer")
    write_series(tmp_path / "mixed", voxels(), AXIAL, name="a{number}.dcm")
    with pytest.raises(InputError, match=r"as in .*mixed#3\.$"):
        read_source(tmp_path / "mixed")


def test_a_choice_may_hold_the_mark_itself(tmp_path):
    study = tmp_path / "study #1"
    write_series(study, voxels(0), AXIAL, name="a{number}.dcm")
    write_series(study, voxels(1), AXIAL, name="b{number}.dcm", SeriesNumber=4, SeriesDescription="flair #2")
    assert np.array_equal(read_source(f"{study}#flair #2").values, voxels(1))
    assert np.array_equal(read_source(f"{study}#3").values, voxels(0))
