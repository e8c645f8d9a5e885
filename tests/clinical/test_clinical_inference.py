"""Both bundles from end to end: DICOM folders on different grids in; NIfTI, DICOM, report and picture out."""

import json
import shutil

import nibabel as nib
import numpy as np
import pytest
import torch
from nibabel.affines import apply_affine

from shared_networks.clinical.registration import resample_rigid
from shared_networks.io.reading import read_source
from tests.bundles.bundle_runs import RUN_FILES, SMALL_HEAD, network_of, run_workflow

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
highdicom = pytest.importorskip("highdicom", reason="highdicom is not installed")
series_writer = pytest.importorskip("tests.io.series_writer")

ANGLE = np.deg2rad(7)
MOTION = np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0, 4], [np.sin(ANGLE), np.cos(ANGLE), 0, -6], [0, 0, 1, 5], [0, 0, 0, 1.0]]
)


def right_handed(values, affine):
    """The same volume with axes that a series has: columns, rows, slices along their cross product."""
    if np.linalg.det(affine) > 0:
        return values, affine
    turned = affine @ np.diag([-1, 1, 1, 1])
    turned[:3, 3] = apply_affine(affine, [values.shape[0] - 1, 0, 0])
    return values[::-1], turned


@pytest.fixture(scope="module")
def folders(rmr_bundle, tmp_path_factory):
    """T1 and FLAIR series of the sample: oblique T1 of 2 mm, FLAIR turned by 7 degrees, in slices of 3 mm."""
    root = tmp_path_factory.mktemp("scanner")
    study = pydicom.uid.generate_uid()
    images = [nib.load(rmr_bundle / "sample_data" / f"{name}.nii.gz") for name in ("t1", "flair")]
    t1, flair = (np.asarray(image.dataobj, np.float32) for image in images)
    t1, affine = right_handed(t1[::2, ::2, ::2], images[0].affine @ np.diag([2, 2, 2, 1]))
    flair, other = right_handed(flair, MOTION @ images[1].affine)
    thick = other @ np.diag([1.2, 1.2, 3, 1])
    flair, _ = resample_rigid(flair, other, (80, 93, 16), thick, np.eye(4))
    series_writer.write_series(root / "t1", t1.astype(np.int16), affine, study=study)
    keys = {"study": study, "SeriesNumber": 7, "SeriesDescription": "t2 flair"}
    series_writer.write_series(root / "flair", np.rint(flair).astype(np.int16), thick, **keys)
    return root


@pytest.fixture(scope="module")
def rmr_checkpoint(rmr_bundle, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    network = network_of(rmr_bundle, **SMALL_HEAD)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def results(folders, rmr_bundle, rmr_checkpoint, tmp_path_factory):
    """Folder of the case."""
    out = tmp_path_factory.mktemp("results")
    keys = {"t1": folders / "t1", "flair": folders / "flair", "output_dir": out, "checkpoint": rmr_checkpoint}
    keys |= {"align": True, "bias_correction": True, "brain_mask": "auto", "dicom_output": True, "device": "cpu"}
    run_workflow(rmr_bundle, ["inference"], "infer", **keys, **SMALL_HEAD)
    (case,) = (path for path in out.iterdir() if path.is_dir() and path.name != "colour_tables")
    return case


def test_every_result_is_there_and_lies_on_the_t1(results, folders):
    name = results.name
    assert sorted(path.name for path in results.iterdir()) == [
        f"{name}_{ending}"
        for ending in ("dicom", "fused.nii.gz", "preview.json", "qc.png", "report.json", "seg.nii.gz")
    ]
    t1 = read_source(folders / "t1")
    fused, label = (nib.load(results / f"{name}_{kind}.nii.gz") for kind in ("fused", "seg"))
    for volume in (fused, label):
        assert volume.shape == t1.values.shape and np.allclose(volume.affine, t1.affine, atol=1e-4)
    assert fused.get_fdata().std() > 1e-3
    derived = read_source(results / f"{name}_dicom" / "fused")
    assert np.allclose(derived.affine, t1.affine, atol=1e-5)
    assert np.abs(derived.values / 4095 - fused.get_fdata()).max() <= 0.5 / 4095 + 1e-6
    segments = highdicom.seg.segread(results / f"{name}_dicom" / "seg.dcm").get_volume(combine_segments=True)
    lps = np.diag([-1.0, -1, 1, 1])
    places = apply_affine(np.linalg.inv(lps @ t1.affine) @ segments.affine, np.argwhere(np.ones(segments.shape, bool)))
    labels = np.asarray(label.dataobj)
    assert labels.any() and np.array_equal(segments.array.ravel(), labels[tuple(np.rint(places).astype(int).T)])


def test_the_report_says_what_was_done(results, folders):
    report = json.loads((results / f"{results.name}_report.json").read_text())
    done = report["preparation"]
    assert list(done) == ["bias_field", "registration", "brain_mask"]
    assert [entry["file"] for entry in done["bias_field"]] == [str(folders / name) for name in ("t1", "flair")]
    assert done["registration"]["rotation_degrees"] == pytest.approx([0, 0, -7], abs=1)
    truth = read_source(folders / "t1").affine @ [20, 30, 10, 1]  # a voxel of the brain
    found = np.array(done["registration"]["first_to_second"]) @ truth
    assert np.linalg.norm(found - MOTION @ truth) < 1.0
    assert done["registration"]["mutual_information"] > 0.3
    assert done["brain_mask"]["source"] == "auto" and done["brain_mask"]["volume_ml"] > 100
    settings = report["settings"]
    assert (settings["align"], settings["bias_correction"], settings["brain_mask"]) == (True, True, "auto")
    derived = pydicom.dcmread(results / f"{results.name}_dicom" / "fused" / "0001.dcm")
    assert report["dicom"]["fused_series"] == derived.SeriesInstanceUID
    names = {item.SeriesInstanceUID for item in derived.ReferencedSeriesSequence}
    assert names == {pydicom.dcmread(folders / name / "0001.dcm").SeriesInstanceUID for name in ("t1", "flair")}


def test_cases_that_cannot_become_dicom_are_refused_and_leave_nothing(folders, rmr_bundle, rmr_checkpoint, tmp_path):
    sample = rmr_bundle / "sample_data"
    shutil.copytree(folders / "t1", tmp_path / "unfit")
    for path in (tmp_path / "unfit").iterdir():
        series_writer.change(path, StudyInstanceUID=None)
    cases = [
        {"t1": str(sample / "t1.nii.gz"), "flair": str(sample / "flair.nii.gz"), "subject": "nifti"},
        {"t1": str(tmp_path / "unfit"), "flair": str(folders / "flair"), "subject": "unfit"},
    ]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    keys = {"datalist": tmp_path / "cases.json", "output_dir": tmp_path / "out", "checkpoint": rmr_checkpoint}
    keys |= {"resample": True, "dicom_output": True, "device": "cpu"}
    with pytest.raises(SystemExit) as caught:
        run_workflow(rmr_bundle, ["inference"], "infer", **keys, **SMALL_HEAD)
    assert caught.value.code == 2
    entries = json.loads((tmp_path / "out" / "run_report.json").read_text())["cases"]
    assert {entry["case"]: entry["status"] for entry in entries} == {"nifti": "refused", "unfit": "refused"}
    assert "no DICOM series, so that no DICOM output" in entries[0]["reason"]
    assert "its headers are not fit for DICOM output" in entries[1]["reason"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"colour_tables", *RUN_FILES}


def test_gesenet_does_the_same_on_volumes(folders, gesenet_bundle, random_checkpoint, tmp_path):
    keys = {"mri": folders / "t1", "other": folders / "flair", "output_dir": tmp_path, "checkpoint": random_checkpoint}
    keys |= {"align": True, "dicom_output": True, "device": "cpu", "slice_axis": 2, "sw_batch_size": 4}
    run_workflow(gesenet_bundle, ["inference"], "infer", **keys)
    (case,) = (path for path in tmp_path.iterdir() if path.is_dir())
    names = {path.name.removeprefix(case.name) for path in case.iterdir()}
    assert names == {"_comparison.png", "_dicom", "_fused.nii.gz", "_report.json"}
    done = json.loads((case / f"{case.name}_report.json").read_text())
    assert done["preparation"]["registration"]["angle_degrees"] == pytest.approx(7, abs=1)
    fused = nib.load(case / f"{case.name}_fused.nii.gz")
    derived = read_source(case / f"{case.name}_dicom" / "fused")
    assert np.abs(derived.values / 4095 - fused.get_fdata().clip(0, 1)).max() <= 0.5 / 4095 + 1e-6
