"""Derived series and segmentation object, read back by pydicom, ITK and highdicom."""

import numpy as np
import pytest
from monai.data import ITKReader
from nibabel.affines import apply_affine

from shared_networks.errors import InputError
from shared_networks.io.dicom_output import write_dicom_results
from shared_networks.io.reading import read_source

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed")
series_writer = pytest.importorskip("tests.io.series_writer")

ANGLE = np.deg2rad(25)
OBLIQUE = np.array(
    [
        [-0.9 * np.cos(ANGLE), 0, 3 * np.sin(ANGLE), 80],
        [0, -1.1, 0, 90],
        [0.9 * np.sin(ANGLE), 0, 3 * np.cos(ANGLE), -40],
        [0, 0, 0, 1.0],
    ]
)
SHAPE = (11, 9, 6)
NAMES = dict(enumerate(("background", "CSF", "GM", "WM", "WML")))
CODES = {
    1: ("65216001", "SCT", "91720002"),
    2: ("389081007", "SCT", "85756007"),
    3: ("389080008", "SCT", "85756007"),
    4: ("110702", "DCM", "49755003"),
}


def voxels(seed):
    return np.random.default_rng(seed).integers(1, 1000, SHAPE).astype(np.int16)


@pytest.fixture
def study(tmp_path):
    """Folders of T1 and FLAIR, of one study, and what their loader would say of them."""
    study = pydicom.uid.generate_uid()
    uids = [
        series_writer.write_series(tmp_path / name, voxels(seed), OBLIQUE, study=study)
        for seed, name in enumerate(("t1", "flair"))
    ]
    meta = {"filename_or_obj": str(tmp_path / "t1"), "other_filename": str(tmp_path / "flair")}
    return meta | {"original_affine": OBLIQUE}, uids


@pytest.fixture
def results(study, tmp_path):
    """Fused volume, label map, record and folder of what was written."""
    fused = np.random.default_rng(5).random(SHAPE).astype(np.float32)
    label = np.random.default_rng(6).integers(0, 5, SHAPE).astype(np.uint8)
    folder = tmp_path / "out"
    folder.mkdir()
    return fused, label, write_dicom_results(folder, fused, study[0], "RMR-Fusion", label, NAMES), folder


def headers(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


def test_derived_series_has_the_values_and_the_place_of_its_source(study, results):
    fused, _, _, folder = results
    source = read_source(folder / "fused")
    assert np.array_equal(source.values, np.rint(fused * 4095)) and np.allclose(source.affine, OBLIQUE, atol=1e-5)
    reader = ITKReader()
    found, meta = reader.get_data(reader.read(str(folder / "fused")))  # another client's way to it
    assert np.array_equal(found, np.rint(fused * 4095)) and np.allclose(meta["affine"], OBLIQUE, atol=1e-5)


def test_derived_series_is_new_and_refers_to_what_it_was_made_of(study, results):
    (_, uids), (_, _, record, folder) = study, results
    images = headers(folder / "fused")
    originals = {image.SOPInstanceUID: image for image in headers(folder.parent / "t1")}
    others = [image.SOPInstanceUID for image in headers(folder.parent / "flair")]
    assert len(images) == SHAPE[2] and {image.SeriesInstanceUID for image in images} == {record["fused_series"]}
    assert record["fused_series"] not in uids
    assert len({image.SOPInstanceUID for image in images} - originals.keys()) == SHAPE[2]
    for image in images:
        (reference,) = image.SourceImageSequence
        original = originals[reference.ReferencedSOPInstanceUID]
        for name in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "ImagePositionPatient"):
            assert image[name].value == original[name].value
        assert image.SOPClassUID == image.file_meta.MediaStorageSOPClassUID == series_writer.MR_IMAGE
        assert image.ImageType[:2] == ["DERIVED", "SECONDARY"] and image.SeriesDescription == "RMR-Fusion fused"
        assert image.SeriesNumber == 301
        listed = {
            item.SeriesInstanceUID: [one.ReferencedSOPInstanceUID for one in item.ReferencedInstanceSequence]
            for item in image.ReferencedSeriesSequence
        }
        assert listed.keys() == set(uids)
        assert set(listed[uids[0]]) == originals.keys() and sorted(listed[uids[1]]) == sorted(others)
        assert [element.tag for element in image.iterall() if element.tag.is_private] == []


def test_series_of_another_study_is_listed_under_it(study, tmp_path):
    meta, _ = study
    elsewhere = series_writer.write_series(tmp_path / "old", voxels(3), OBLIQUE)
    (tmp_path / "out").mkdir()
    write_dicom_results(tmp_path / "out", np.zeros(SHAPE), meta | {"other_filename": str(tmp_path / "old")}, "x")
    image = headers(tmp_path / "out" / "fused")[0]
    (entry,) = image.StudiesContainingOtherReferencedInstancesSequence
    assert entry.StudyInstanceUID == headers(tmp_path / "old")[0].StudyInstanceUID
    assert [item.SeriesInstanceUID for item in entry.ReferencedSeriesSequence] == [elsewhere]
    assert len(image.ReferencedSeriesSequence) == 1


def test_segmentation_object_holds_the_label_map(study, results):
    (_, uids), (_, label, record, folder) = study, results
    segmentation = highdicom.seg.segread(folder / "seg.dcm")
    assert segmentation.SOPInstanceUID == record["segmentation"]
    assert segmentation.SegmentationType == "BINARY" and segmentation.SeriesInstanceUID not in uids
    assert segmentation.number_of_segments == 4
    for number, (code, scheme, category) in CODES.items():
        segment = segmentation.get_segment_description(number)
        assert segment.segment_label == NAMES[number]
        assert (segment.segmented_property_type.value, segment.segmented_property_type.scheme_designator) == (
            code,
            scheme,
        )
        assert segment.segmented_property_category.value == category
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
    volume = segmentation.get_volume(combine_segments=True)
    # each voxel by its place in the world, whatever the order of frames, rows and columns
    lps = np.diag([-1.0, -1, 1, 1])
    places = apply_affine(np.linalg.inv(lps @ OBLIQUE) @ volume.affine, np.argwhere(np.ones(volume.shape, bool)))
    assert volume.array.size == label.size
    assert np.array_equal(volume.array.ravel(), label[tuple(np.rint(places).astype(int).T)])


def test_segmentation_object_refers_to_its_sources(study, results):
    (_, uids), (*_, folder) = study, results
    segmentation = pydicom.dcmread(folder / "seg.dcm")
    source = headers(folder.parent / "t1")[0]
    assert segmentation.FrameOfReferenceUID == source.FrameOfReferenceUID
    assert segmentation.PatientID == "P1" and segmentation.StudyInstanceUID == source.StudyInstanceUID
    assert {item.SeriesInstanceUID for item in segmentation.ReferencedSeriesSequence} == set(uids)
    assert [element.tag for element in segmentation.iterall() if element.tag.is_private] == []


def test_segmentation_object_is_read_by_itk(results):
    import itk

    _, label, _, folder = results
    frames = itk.array_from_image(itk.imread(str(folder / "seg.dcm"), pixel_type=itk.UC))
    assert frames.shape[1:] == (SHAPE[1], SHAPE[0])
    assert sum(int((frame > 0).sum()) for frame in frames) == np.count_nonzero(label)


def test_label_map_without_any_class(study, tmp_path):
    (tmp_path / "out").mkdir()
    write_dicom_results(tmp_path / "out", np.zeros(SHAPE), study[0], "RMR-Fusion", np.zeros(SHAPE, np.uint8), NAMES)
    segmentation = highdicom.seg.segread(tmp_path / "out" / "seg.dcm")
    assert segmentation.number_of_segments == 4 and not segmentation.pixel_array.any()


def test_result_in_colour_is_a_secondary_capture_at_its_place(study, tmp_path):
    colour = np.random.default_rng(7).random((3, *SHAPE)).astype(np.float32)
    (tmp_path / "out").mkdir()
    write_dicom_results(tmp_path / "out", colour, study[0], "GeSeNet")
    images = headers(tmp_path / "out" / "fused")
    assert not (tmp_path / "out" / "seg.dcm").exists()
    for number, image in enumerate(images):
        assert image.SOPClassUID == "1.2.840.10008.5.1.4.1.1.7" and image.PhotometricInterpretation == "RGB"
        assert np.array_equal(image.pixel_array, np.rint(colour[..., number] * 255).T)
    assert np.allclose(read_source(tmp_path / "out" / "fused").affine, OBLIQUE, atol=1e-5)


def test_headers_that_are_not_fit_are_refused(study, tmp_path):
    for path in (tmp_path / "t1").iterdir():
        series_writer.change(path, StudyInstanceUID=None)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="its headers are not fit for DICOM output"):
        write_dicom_results(tmp_path / "out", np.zeros(SHAPE), study[0], "RMR-Fusion")


def test_a_series_that_changed_is_refused(study, tmp_path):
    (tmp_path / "out").mkdir()
    moved = study[0] | {"original_affine": OBLIQUE + np.diag([0, 0, 0.1, 0])}
    with pytest.raises(InputError, match="the series changed while it was used"):
        write_dicom_results(tmp_path / "out", np.zeros(SHAPE), moved, "RMR-Fusion")


def test_a_real_series_is_a_good_enough_source(data_dir, tmp_path):
    path = data_dir / "dicom" / "prostatex-0001-adc"
    source = read_source(path)
    meta = {"filename_or_obj": str(path), "original_affine": source.affine}
    label = (source.values > np.median(source.values)).astype(np.uint8)
    (tmp_path / "out").mkdir()
    write_dicom_results(
        tmp_path / "out", source.values / source.values.max(), meta, "RMR-Fusion", label, {0: "", 1: "a"}
    )
    fused = read_source(tmp_path / "out" / "fused")
    assert np.allclose(fused.affine, source.affine, atol=1e-4)
    assert np.array_equal(fused.values, np.rint(source.values / source.values.max() * 4095))
    segments = highdicom.seg.segread(tmp_path / "out" / "seg.dcm").get_volume(combine_segments=True)
    assert segments.array.sum() == label.sum()
