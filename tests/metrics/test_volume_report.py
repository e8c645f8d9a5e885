"""The report's numbers, counted by hand, and against the data's own table."""

import json

import nibabel as nib
import numpy as np
import pytest

from shared_networks.metrics import compute_volume_report

NAMES = {"0": "background", "1": "CSF", "2": "GM", "3": "WM", "4": "WML"}


def test_counted_by_hand():
    label = np.zeros((10, 10, 10), np.uint8)
    label[:5] = 3
    label[5, :4, 0] = 1
    label[0, 0, 0:2] = 4
    label[3, 2:5, 2:5] = 4
    angle = 0.3
    affine = np.diag([0.9, 0.9, 6.5, 1.0])
    affine[:2, :2] = 0.9 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    report = compute_volume_report(label, affine, NAMES)
    voxel = 0.9 * 0.9 * 6.5 / 1000
    expected = {"CSF": 4, "GM": 0, "WM": 489, "WML": 11}
    assert report["volumes_ml"] == pytest.approx({name: count * voxel for name, count in expected.items()}, abs=1e-4)
    assert report["lesion_count"] == 2 and report["lesion_volumes_ml"] == pytest.approx(
        [9 * voxel, 2 * voxel], abs=1e-4
    )
    assert report["lesion_load_ml"] == pytest.approx(11 * voxel, abs=1e-4)
    assert report["lesion_load_percent"] == pytest.approx(100 * 11 / 504, abs=1e-4)
    assert report["largest_lesion_voxel"] == [3, 3, 3]
    assert json.loads(json.dumps(report)) == report


def test_nothing_segmented():
    report = compute_volume_report(np.zeros((3, 3, 3), np.uint8), np.eye(4), NAMES)
    assert report["lesion_count"] == 0 and report["lesion_load_percent"] == 0.0
    assert report["largest_lesion_voxel"] is None and report["lesion_volumes_ml"] == []


def test_hollow_lesion_is_shown_where_it_is():
    label = np.zeros((5, 5, 5), np.uint8)
    label[1:4, 1:4, 2] = 3
    label[2, 2, 2] = 0
    report = compute_volume_report(label, np.eye(4), {0: "background", 3: "cancer"})
    assert label[tuple(report["largest_lesion_voxel"])] == 3


def test_volumes_of_the_data_table(data_dir):
    image = nib.load(data_dir / "brain" / "mahdi_ms5-105755" / "label.nii.gz")
    volumes = compute_volume_report(np.asarray(image.dataobj), image.affine, NAMES)["volumes_ml"]
    assert volumes == pytest.approx({"CSF": 261, "GM": 723, "WM": 456, "WML": 3.5}, abs=0.5)
