"""The files of a segmented case: values, geometry, report."""

import hashlib
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image

import shared_networks
from shared_networks.transforms import LoadModalitiesd, SaveFusedSegmentationd

SHAPE = (7, 6, 5)
AFFINE = np.array([[0, 0, 3, -10], [-2, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1.0]])


@pytest.fixture
def case(write_volume, noise):
    """Item with a fused volume from -0.5 to 1.5 and a label map with lesions of 4 and 1 voxels."""
    paths = [write_volume(f"in/{name}.nii.gz", noise(SHAPE, n), AFFINE) for n, name in enumerate(("t1", "flair"))]
    item = LoadModalitiesd(label_key="")({"case": "p1", "image": [str(path) for path in paths]})
    fused = torch.linspace(-0.5, 1.5, int(np.prod(SHAPE))).reshape(1, *SHAPE)
    label = torch.zeros((1, *SHAPE), dtype=torch.uint8)
    label[0, 1:3, 1:3, 1] = 4
    label[0, 5, 4, 4] = 4
    label[0, :, 5, 0] = 1
    return item | {"fused": MetaTensor(fused), "pred": MetaTensor(label), "paths": paths, "warning": "look swapped"}


def save(case, folder, **kwargs):
    """Result of the transform and the folder of the case."""
    return SaveFusedSegmentationd(output_dir=str(folder), **kwargs)(case), folder / "p1"


def test_volumes_hold_the_values_on_the_inputs_grid(case, tmp_path):
    result, folder = save(case, tmp_path / "out")
    assert "refused" not in result
    fused, seg, source = (nib.load(p) for p in (folder / "p1_fused.nii.gz", folder / "p1_seg.nii.gz", case["paths"][0]))
    assert fused.get_data_dtype() == np.float32 and seg.get_data_dtype() == np.uint8
    assert np.array_equal(fused.get_fdata(), case["fused"][0].clamp(0, 1).numpy())
    assert np.array_equal(np.asarray(seg.dataobj), case["pred"][0].numpy())
    for image in (fused, seg):
        assert np.array_equal(image.affine, source.affine)
        assert [image.header[key] for key in ("sform_code", "qform_code")] == [
            source.header[key] for key in ("sform_code", "qform_code")
        ]
    assert torch.equal(result["pred"], case["pred"]) and torch.equal(result["fused"], case["fused"])


def test_affine_that_float32_cannot_hold_stays_that_of_the_file(write_volume, noise, tmp_path):
    affine = np.diag([0.1, 0.3, 0.7, 1.0])
    affine[:3, 3] = 1 / 3
    paths = [str(write_volume(f"in/{name}.nii.gz", noise(SHAPE, n), affine)) for n, name in enumerate("ab")]
    item = LoadModalitiesd(label_key="")({"case": "p1", "image": paths})
    item |= {"fused": torch.zeros((1, *SHAPE)), "pred": torch.zeros((1, *SHAPE))}
    _, folder = save(item, tmp_path / "out")
    assert np.array_equal(nib.load(folder / "p1_seg.nii.gz").affine, nib.load(paths[0]).affine)


def test_report(case, tmp_path):
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    settings = {"overlap": 0.25, "classes": 5, "name": "a [ b ]", "names": ["c  d"], "none": []}
    _, folder = save(case, tmp_path / "out", checkpoint=str(weights), settings=settings)
    report = json.loads((folder / "p1_report.json").read_text())
    # a voxel is 2 x 1 x 3 mm, 0.006 ml
    assert report["volumes_ml"] == {"CSF": 0.042, "GM": 0.0, "WM": 0.0, "WML": 0.03}
    assert (report["lesion_count"], report["lesion_load_ml"]) == (2, 0.03)
    assert report["lesion_volumes_ml"] == [0.024, 0.006]
    assert report["lesion_load_percent"] == pytest.approx(100 * 5 / 12, abs=1e-4)
    assert case["pred"][0][tuple(report["largest_lesion_voxel"])] == 4
    assert report["grid"] == {"shape": [7, 6, 5], "spacing_mm": [2.0, 1.0, 3.0], "orientation": "PIR"}
    assert report["inputs"] == dict(zip(("t1", "flair"), map(str, case["paths"]), strict=True))
    assert report["warnings"] == "look swapped"
    assert report["model"] == {"file": "model.pt", "sha256": hashlib.sha256(b"weights").hexdigest()}
    assert report["settings"] == settings
    assert report["shared_networks"] == shared_networks.__version__
    assert '"lesion_volumes_ml": [0.024, 0.006],\n' in (folder / "p1_report.json").read_text()


def test_probability_small_lesions_and_regions(case, tmp_path):
    probability = torch.linspace(0, 1, int(np.prod(SHAPE))).reshape(1, *SHAPE)
    case |= {"lesion_probability": MetaTensor(probability), "small_lesions": {"count": 2, "volume_ml": 0.01}}
    _, folder = save(case, tmp_path / "out", region_classes=(1, 2, 4))
    written = nib.load(folder / "p1_lesion_probability.nii.gz")
    assert written.get_data_dtype() == np.float32 and np.array_equal(written.get_fdata(), probability[0].numpy())
    assert np.array_equal(written.affine, nib.load(case["paths"][0]).affine)
    report = json.loads((folder / "p1_report.json").read_text())
    assert report["files"][-2:] == ["p1_lesion_probability.nii.gz", "p1_report.json"]
    assert report["small_lesions"] == {"count": 2, "volume_ml": 0.01}
    assert report["lesions_by_region"]["deep_white_matter"] == {"count": 2, "volume_ml": 0.03}


def test_quality_certainty_and_names_of_the_labels(case, tmp_path):
    scores = torch.tensor([[0.70049, 0.9], [float("nan"), 0.8]])
    _, folder = save(case | {"image_quality": scores, "certainty": {"mean_probability": 0.9}}, tmp_path / "out")
    report = json.loads((folder / "p1_report.json").read_text())
    assert report["image_quality"] == {"t1": {"noise": 0.7, "blur": 0.9}, "flair": {"noise": None, "blur": 0.8}}
    assert report["certainty"] == {"mean_probability": 0.9}
    header = nib.load(folder / "p1_seg.nii.gz").header
    assert header["descrip"].item() == b"0 background, 1 CSF, 2 GM, 3 WM, 4 WML" and header["intent_code"] == 1002


def test_hash_of_the_settings_depends_on_values_and_not_on_order(case, tmp_path):
    hashes = []
    for number, settings in enumerate(({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})):
        _, folder = save(case, tmp_path / str(number), settings=settings)
        hashes.append(json.loads((folder / "p1_report.json").read_text())["settings_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_other_classes_and_modalities(case, tmp_path):
    names = ["background", "zone", "other zone", "cancer"]
    case["pred"] = case["pred"].clamp(max=3)
    _, folder = save(case, tmp_path / "out", class_names=names, modalities=("t2", "adc"))
    report = json.loads((folder / "p1_report.json").read_text())
    assert report["volumes_ml"] == {"zone": 0.042, "other zone": 0.0, "cancer": 0.03}
    assert list(report["inputs"]) == ["t2", "adc"] and report["model"] == {}


def test_without_lesions(case, tmp_path):
    case["pred"] = torch.zeros_like(case["pred"])
    _, folder = save(case, tmp_path / "out")
    report = json.loads((folder / "p1_report.json").read_text())
    assert (report["lesion_count"], report["largest_lesion_voxel"]) == (0, None)
    assert Image.open(folder / "p1_qc.png").size[0] > 500


def test_a_source_that_is_no_nifti_file_gives_its_affine(tmp_path):
    """As of a folder of one DICOM series."""
    item = {"case": "p1", "fused": torch.zeros((1, *SHAPE)), "pred": torch.zeros((1, *SHAPE))}
    meta = {"filename_or_obj": str(tmp_path), "original_affine": AFFINE}
    item["image"] = MetaTensor(torch.rand((2, *SHAPE)), affine=torch.eye(4), meta=meta)
    _, folder = save(item, tmp_path / "out")
    assert np.allclose(nib.load(folder / "p1_fused.nii.gz").affine, AFFINE)


def test_values_that_are_not_numbers_are_refused(case, tmp_path):
    case["fused"][0, 0, 0, 0] = torch.nan
    result, folder = save(case, tmp_path / "out")
    assert result["refused"].startswith("p1: the network gave values that are not numbers")
    assert not folder.exists()
