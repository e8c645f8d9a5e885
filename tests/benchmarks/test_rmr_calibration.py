"""Probability of lesions against their share: closed forms."""

import json

import numpy as np
import pytest

from benchmarks.rmr_calibration import main, reliability, table


def test_bins_hold_means_of_their_voxels():
    probability = np.array([0.02, 0.04, 0.55, 0.51, 0.53, 0.57, 1.0])
    lesion = np.array([0, 0, 1, 0, 0, 1, 1], bool)
    assert reliability(probability, lesion) == [
        {"voxels": 2, "probability": pytest.approx(0.03), "share": 0.0},
        {"voxels": 4, "probability": pytest.approx(0.54), "share": 0.5},
        {"voxels": 1, "probability": 1.0, "share": 1.0},
    ]


def test_only_labelled_voxels_of_the_section_count(write_volume, tmp_path):
    label = np.full((4, 5, 6), 3, np.uint8)
    label[0], label[1] = 0, 4
    probability = np.full((4, 5, 6), 0.25, np.float32)
    probability[1], probability[0] = 0.75, 1.0  # the plane without label would be wrong
    for name in ("a", "b"):
        write_volume(f"brains/{name}/label.nii.gz", label)
    write_volume("results/b/b_lesion_probability.nii.gz", probability)
    sections = {
        name: [{"subject": one, "label": f"{one}/label.nii.gz"}]
        for name, one in (("training", "a"), ("validation", "b"))
    }
    (tmp_path / "brains" / "datalist.json").write_text(json.dumps(sections))
    (tmp_path / "results" / "run_report.json").write_text(json.dumps({"weights": {"file": "model.pt", "sha256": "0"}}))
    words = ["--results", tmp_path / "results", "--datalist", tmp_path / "brains" / "datalist.json", "--out", tmp_path]
    result = main([str(word) for word in words])
    assert result["cases"] == {
        "b": [{"voxels": 60, "probability": 0.25, "share": 0.0}, {"voxels": 30, "probability": 0.75, "share": 1.0}]
    }
    # 0.25 off in every voxel; said 0.25 * 2/3 + 0.75 / 3, lesion in a third
    assert "| b | 0.2500 | 90 | 0.42 | 0.33 |" in table(result)
    assert (tmp_path / "rmr_calibration.png").stat().st_size > 5000
