"""DICOM that is no folder of plain slices: frames, single files, no preamble, nested, copies, colour, padding, tilt."""

import shutil

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, generate_uid

from shared_networks.clinical import PreparePair
from shared_networks.data import resolve_pairs
from shared_networks.errors import InputError
from shared_networks.io.file_names import file_kind
from shared_networks.io.reading import read_source
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd
from tests.io.series_writer import LPS, NM_IMAGE, change, multi_frame, write_series
from tests.io.test_dicom_series import AXIAL, CORONAL, SAGITTAL, SHAPE, TILT, voxels

PLACE = {"ImagePositionPatient": [0, 0, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def is_series(folder, values, affine=AXIAL):
    source = read_source(folder)
    assert file_kind(folder) == "series"
    assert np.array_equal(source.values, values) and np.allclose(source.affine, affine, atol=1e-4)
    return source


@pytest.mark.parametrize("affine", [AXIAL, TILT @ SAGITTAL, TILT @ CORONAL])
def test_enhanced_frames_are_slices_in_the_order_of_their_places(tmp_path, affine):
    path = multi_frame(tmp_path / "s" / "a.dcm", voxels(), affine, order=[3, 0, 4, 1, 2])
    plain = read_source(tmp_path / "s")
    write_series(tmp_path / "plain", voxels(), affine)
    expected = read_source(tmp_path / "plain")
    assert np.array_equal(plain.values, expected.values) and np.allclose(plain.affine, expected.affine, atol=1e-4)
    assert np.array_equal(read_source(path).values, expected.values) and plain.patient == expected.patient
    geometry = highdicom.imread(path).get_volume_geometry()
    corner = LPS @ plain.affine @ [0, 0, 0, 1]
    assert any(
        np.allclose(place, corner[:3], atol=1e-3)
        for place in geometry.map_indices_to_reference(np.array([[i, 0, 0] for i in (0, SHAPE[2] - 1)]))
    )


def test_every_frame_has_its_own_scale(tmp_path):
    slopes = [1.0, 0.5, 2.0, 3.0, 0.25]
    path = multi_frame(tmp_path / "pet.dcm", voxels(), AXIAL, slopes=slopes)
    source = read_source(path)
    assert np.allclose(source.values, voxels() * np.array(slopes))


@pytest.mark.parametrize("affine", [AXIAL, TILT @ AXIAL, AXIAL @ np.diag([1.0, 1, -1, 1])])
def test_spect_is_one_file_of_frames(tmp_path, affine):
    path = multi_frame(tmp_path / "nm.dcm", voxels(), affine, NM_IMAGE)
    source = read_source(path)
    write_series(tmp_path / "plain", voxels(), affine)
    expected = read_source(tmp_path / "plain")
    assert np.array_equal(source.values, expected.values) and np.allclose(source.affine, expected.affine, atol=1e-4)
    assert source.modality == "NM"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sop_class": NM_IMAGE, "EnergyWindowVector": [1, 1, 1, 2, 2]}, "frames of several energies, phases, times"),
        (
            {"sop_class": NM_IMAGE, "DetectorInformationSequence": pydicom.Sequence([Dataset()])},
            "slices without position|cannot",
        ),
        ({"PerFrameFunctionalGroupsSequence": None}, "film and not a volume|slices without position|cannot be read"),
        ({"order": [0, 1, 1, 2, 3]}, "lie where another one lies"),
        ({"order": [0, 1, 2, 4, 4]}, "lie where another one lies"),
    ],
)
def test_frames_that_are_no_stack_are_refused(tmp_path, changes, message):
    lost = [key for key, value in changes.items() if value is None]
    given = {key: value for key, value in changes.items() if value is not None}
    path = multi_frame(tmp_path / "a.dcm", voxels(), AXIAL, **given)
    if lost:
        change(path, **dict.fromkeys(lost))
    with pytest.raises(InputError, match=message) as caught:
        read_source(path)
    assert str(path) in str(caught.value)


def test_several_files_of_frames_name_one_of_them(tmp_path):
    first = multi_frame(tmp_path / "s" / "a.dcm", voxels(), AXIAL)
    second = tmp_path / "s" / "b.dcm"
    shutil.copy(first, second)
    change(second, SOPInstanceUID=generate_uid())
    with pytest.raises(
        InputError, match=r"2 files of several frames in one DICOM series; give one of them, as in .*\.dcm"
    ):
        read_source(tmp_path / "s")
    assert np.array_equal(read_source(second).values, read_source(first).values)


def test_frames_give_no_dicom_output(tmp_path):
    paths = [str(multi_frame(tmp_path / f"{name}.dcm", voxels(seed), AXIAL)) for seed, name in enumerate(("m", "c"))]
    with pytest.raises(InputError, match="dicom_output"):
        LoadFusionPaird(prepare=PreparePair(dicom_output=True))({"image": paths})


def test_one_file_is_one_slice(tmp_path):
    write_series(tmp_path / "s", voxels(), AXIAL)
    source = read_source(tmp_path / "s" / "0005.dcm")  # written from the last to the first
    assert source.values.shape == (7, 6, 1) and np.array_equal(source.values[..., 0], voxels()[..., 0])
    assert np.allclose(source.affine[:3, 3], AXIAL[:3, 3]) and np.linalg.norm(source.affine[:3, 2]) == pytest.approx(3)
    assert "one slice of its series, which has more in the same folder" in source.warnings[0]


def without_preamble(path, meta=True):
    content = path.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    path.write_bytes(content[132 if meta else 144 + length :])


@pytest.mark.parametrize("meta", [True, False])
def test_files_without_preamble(tmp_path, meta):
    write_series(tmp_path / "s", voxels(), AXIAL, name="IM{number:04d}")
    for path in (tmp_path / "s").iterdir():
        without_preamble(path, meta)
    is_series(tmp_path / "s", voxels())
    content = (tmp_path / "s" / "IM0002").read_bytes()
    (tmp_path / "s" / "IM0002").write_bytes(content[: len(content) - 40])
    with pytest.raises(InputError, match=r"element \(7fe0,0010\) says 84 bytes and 44 are left"):
        read_source(tmp_path / "s")


def test_big_endian_without_preamble(tmp_path):
    """A folder and one of its files; a truncated one is refused."""
    folder = tmp_path / "s"
    write_series(folder, voxels(), AXIAL, name="IM{number:04d}")
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image.PixelData = np.frombuffer(image.PixelData, "<i2").astype(">i2").tobytes()
        content = DicomBytesIO()
        content.is_little_endian, content.is_implicit_VR = False, False
        write_dataset(content, Dataset(dict(image.items())))
        path.write_bytes(content.getvalue())
        assert path.read_bytes()[:2] == b"\0\x08"
    is_series(folder, voxels())
    single = read_source(folder / "IM0002")
    assert np.array_equal(single.values[..., 0], voxels()[..., SHAPE[2] - 2])
    content = (folder / "IM0002").read_bytes()
    (folder / "IM0002").write_bytes(content[: len(content) - 40])
    with pytest.raises(InputError, match=r"element \(7fe0,0010\) says 84 bytes and 44 are left"):
        read_source(folder)


def test_a_series_below_other_folders(tmp_path):
    write_series(tmp_path / "PATIENT" / "STUDY" / "SERIES", voxels(), AXIAL)
    (tmp_path / "PATIENT" / "report.txt").write_text("no image")
    (tmp_path / "PATIENT" / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(200))
    is_series(tmp_path / "PATIENT", voxels())


def test_slices_of_one_series_in_several_folders(tmp_path):
    write_series(tmp_path / "a", voxels(), AXIAL)
    (tmp_path / "a" / "x").mkdir()
    (tmp_path / "a" / "y").mkdir()
    for number, path in enumerate(sorted((tmp_path / "a").glob("*.dcm"))):
        path.rename(path.parent / "xy"[number % 2] / path.name)
    is_series(tmp_path / "a", voxels())


def test_several_series_below_a_folder_are_listed_and_can_be_chosen(tmp_path):
    for number, name in ((3, "t1"), (7, "flair")):
        write_series(tmp_path / "STUDY" / name, voxels(number), AXIAL, SeriesNumber=number, SeriesDescription=name)
    with pytest.raises(
        InputError, match=r"more than one DICOM series: 3 't1' .*; 7 'flair' .*; choose one, as in .*#3"
    ):
        read_source(tmp_path / "STUDY")
    for choice, number in (("3", 3), ("flair", 7)):
        assert np.array_equal(read_source(f"{tmp_path / 'STUDY'}#{choice}").values, voxels(number))


def test_folders_of_series_are_pairs_and_not_series(tmp_path):
    for side in ("mri", "other"):
        for case in ("p1", "p2"):
            write_series(tmp_path / side / case, voxels(), AXIAL)
    assert file_kind(tmp_path / "mri") == ""
    pairs = resolve_pairs(str(tmp_path / "mri"), str(tmp_path / "other"))
    assert [pair["case"] for pair in pairs] == ["p1", "p2"]


def test_copies_of_slices_are_left_out(tmp_path):
    write_series(tmp_path / "s", voxels(), AXIAL)
    shutil.copy(tmp_path / "s" / "0002.dcm", tmp_path / "s" / "0002 copy.dcm")
    shutil.copy(tmp_path / "s" / "0004.dcm", tmp_path / "s" / "again.dcm")
    change(tmp_path / "s" / "again.dcm", SOPInstanceUID=generate_uid())
    source = is_series(tmp_path / "s", voxels())
    assert source.warnings == ["s: 2 identical copies of slices were left out"]
    pixels = pydicom.dcmread(tmp_path / "s" / "0004.dcm").PixelData
    change(tmp_path / "s" / "again.dcm", PixelData=b"\1\0" + pixels[2:])
    with pytest.raises(InputError, match="1 slices of the DICOM series lie where another one lies"):
        read_source(tmp_path / "s")


@pytest.mark.parametrize(("kind", "what"), [("RTDOSE", "a distribution of dose"), ("SEG", "a segmentation")])
def test_pixels_that_are_no_image_are_named(tmp_path, kind, what):
    write_series(tmp_path / "s", voxels(), AXIAL, Modality=kind)
    frames = multi_frame(tmp_path / "f" / "a.dcm", voxels(), AXIAL)
    change(frames, Modality=kind)
    for path in (tmp_path / "s", frames):
        with pytest.raises(InputError) as refusal:
            read_source(path)
        assert str(refusal.value) == f"{path}: {what} ({kind}), no image; give the series of the image itself."


def test_an_enhanced_file_of_one_frame_is_a_slice(tmp_path):
    path = multi_frame(tmp_path / "a.dcm", voxels(shape=(*SHAPE[:2], 1)), AXIAL)
    source = read_source(path)
    assert np.array_equal(source.values, voxels(shape=(*SHAPE[:2], 1))) and np.allclose(source.affine, AXIAL, atol=1e-4)


@pytest.mark.parametrize(("name", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_pixels_that_are_floating_point_numbers_are_named(tmp_path, name, kind):
    write_series(tmp_path / "s", voxels(), AXIAL)
    for path in (tmp_path / "s").iterdir():
        change(path, PixelData=None, **{name: np.zeros(SHAPE[:2], kind).tobytes()})
    for path in (tmp_path / "s", tmp_path / "s" / "0001.dcm"):
        with pytest.raises(InputError, match="the pixels are floating-point numbers; export whole numbers"):
            read_source(path)


def test_deflated_files_are_inflated(tmp_path):
    write_series(tmp_path / "s", voxels(), AXIAL)
    frames = multi_frame(tmp_path / "f" / "a.dcm", voxels(), AXIAL)
    for path in [*(tmp_path / "s").iterdir(), frames]:
        image = pydicom.dcmread(path)
        image.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        image.save_as(path)
    is_series(tmp_path / "s", voxels())
    is_series(tmp_path / "f", voxels())


@pytest.mark.parametrize("facts", [{"PixelPaddingValue": -2000}, {"PixelPaddingValue": 63536}, {}])
def test_padding_of_ct_is_air(tmp_path, facts):
    values = np.random.default_rng(0).integers(-900, 900, SHAPE).astype(np.int16)
    padded = values.copy()
    padded[:2] = -2000
    attributes = {"SOPClassUID": CT_IMAGE, "Modality": "CT", "RescaleSlope": "1", "RescaleIntercept": "-24"}
    write_series(tmp_path / "s", padded, AXIAL, **attributes)
    for path in (tmp_path / "s").iterdir() if facts else ():
        image = pydicom.dcmread(path)
        image.add_new((0x0028, 0x0120), "SS" if facts["PixelPaddingValue"] < 0 else "US", facts["PixelPaddingValue"])
        image.save_as(path)
    source = read_source(tmp_path / "s")
    if facts:
        assert (source.values[:2] == -1000).all() and np.array_equal(source.values[2:], values[2:] - 24.0)
        assert source.warnings == [f"s: {2 * 6 * 5} voxels of padding were set to -1000"]
    assert source.modality == "CT"


def test_the_window_of_the_files(tmp_path):
    attributes = {
        "SOPClassUID": CT_IMAGE,
        "Modality": "CT",
        "WindowCenter": ["40", "400"],
        "WindowWidth": ["81", "2000"],
    }
    write_series(tmp_path / "ct", voxels() - 500, AXIAL, **attributes)
    source = read_source(tmp_path / "ct")
    assert source.window == (-0.5, 79.5)  # PS3.3 C.11.2.1.2.1: c - 0.5 -+ (w - 1) / 2
    write_series(tmp_path / "mri", voxels(1), AXIAL)
    loaded = LoadFusionPaird(ct_window="dicom")({"image": [str(tmp_path / "mri"), str(tmp_path / "ct")]})
    assert np.allclose(loaded["image"][1].numpy(), ((voxels() - 500 + 0.5) / 80).clip(0, 1), atol=1e-5)
    for path in (tmp_path / "ct").iterdir():
        change(path, VOILUTFunction="LINEAR_EXACT")
    assert read_source(tmp_path / "ct").window == (-0.5, 80.5)


def test_a_tilted_gantry_is_resampled_when_asked(tmp_path):
    sheared = AXIAL.copy()
    sheared[1, 2] = 3 * np.tan(np.deg2rad(15))
    sheared[2, 2] = 3
    folder = tmp_path / "ct"
    write_series(folder, voxels(), AXIAL, SOPClassUID=CT_IMAGE, Modality="CT")
    for path in folder.iterdir():
        number = 5 - int(path.stem)  # written from the last to the first
        position = (LPS @ sheared @ [0, 0, number, 1])[:3]
        change(path, ImagePositionPatient=[f"{value:.8g}" for value in position])
    write_series(tmp_path / "mri", voxels(1), AXIAL)
    paths = [str(tmp_path / "mri"), str(folder)]
    assert np.allclose(read_source(folder).affine, sheared, atol=1e-4)
    with pytest.raises(InputError, match=r"the affine is sheared.*--resample True"):
        LoadFusionPaird()({"image": paths})
    loaded = LoadFusionPaird(resample=True)({"image": paths})
    assert loaded["image"].shape == (2, *SHAPE) and np.allclose(loaded["image"].affine, AXIAL, atol=1e-4)


@pytest.mark.parametrize(("modality", "kept"), [("CT", True), ("PT", True), ("NM", True), ("MR", False)])
@pytest.mark.parametrize("kind", ["signed", "unsigned", "12 bit"])
def test_inverted_display_changes_no_units(tmp_path, modality, kept, kind):
    """MONOCHROME1 says that low values are shown bright: of HU and activity that changes the picture only."""
    attributes = {"Modality": modality, "PhotometricInterpretation": "MONOCHROME1", "RescaleIntercept": "-24"}
    attributes |= {} if kind == "signed" else {"PixelRepresentation": 0}
    attributes |= {"BitsStored": 12, "HighBit": 11} if kind == "12 bit" else {}
    slopes = [1.0, 0.5, 2.0, 3.0, 0.25]
    write_series(tmp_path / "s", voxels(), AXIAL, slopes=slopes, **attributes)
    expected = voxels() * np.array(slopes)
    values = read_source(tmp_path / "s").values
    assert np.allclose(np.diff(values, axis=0), np.diff(expected, axis=0) * (1 if kept else -1))
    if kept:
        for path in (tmp_path / "s").iterdir():
            change(path, PhotometricInterpretation="MONOCHROME2")
        assert np.allclose(values, read_source(tmp_path / "s").values)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"ModalityLUTSequence": pydicom.Sequence([Dataset()])}, "a table .Modality LUT. says what its values mean"),
        ({"BitsStored": 12, "HighBit": 15}, "12 bits are stored below bit 15, as DICOM no longer allows"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "a mosaic, all slices of a volume in one picture"),
    ],
)
def test_what_the_decoder_would_pass_over_is_refused(tmp_path, facts, message):
    write_series(tmp_path / "s", voxels(), AXIAL, **facts)
    with pytest.raises(InputError, match=message):
        read_source(tmp_path / "s")


def test_a_header_that_names_another_modality_gives_a_warning(tmp_path):
    for name, modality in (("mr", "MR"), ("pet", "PT")):
        write_series(tmp_path / name, voxels() + ord(name[0]), AXIAL, Modality=modality)
    paths = [str(tmp_path / "pet"), str(tmp_path / "mr")]
    assert "pet: the MRI's header says PT; are the two swapped?" in LoadFusionPaird()({"image": paths})["warning"]
    assert "header says" not in LoadFusionPaird()({"image": paths[::-1]})["warning"]
    assert "pet: its header says PT; is it flair?" in LoadModalitiesd()({"image": paths[::-1]})["warning"]
    assert "header says" not in LoadModalitiesd(brain_checks=False)({"image": paths})["warning"]


@pytest.mark.parametrize(("modality", "kept"), [("NM", True), ("MR", False)])
def test_inverted_display_of_frames_changes_no_units(tmp_path, modality, kept):
    facts = {"PhotometricInterpretation": "MONOCHROME1", "Modality": modality}
    path = multi_frame(tmp_path / "a.dcm", voxels(), AXIAL, NM_IMAGE, **facts)
    assert np.array_equal(read_source(path).values, voxels() if kept else -1 - voxels())


@pytest.mark.parametrize("meta", [True, False])
def test_frames_without_preamble(tmp_path, meta):
    path = multi_frame(tmp_path / "s" / "IM1", voxels(), AXIAL)
    without_preamble(path, meta)
    assert np.array_equal(read_source(tmp_path / "s").values, voxels())


def test_the_list_of_many_series_is_cut(tmp_path):
    write_series(tmp_path / "s", voxels(shape=(4, 4, 12)), AXIAL)
    for path in (tmp_path / "s").iterdir():
        change(path, SeriesInstanceUID=generate_uid())
    with pytest.raises(InputError, match=r"more than one DICOM series in the folder: .*; \.\.\.; choose one") as caught:
        read_source(tmp_path / "s")
    assert str(caught.value).count("(1 images") == 8


def test_the_directory_of_a_disc_is_no_image(tmp_path):
    write_series(tmp_path / "s", voxels(), AXIAL)
    (tmp_path / "s" / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(200))
    is_series(tmp_path / "s", voxels())
