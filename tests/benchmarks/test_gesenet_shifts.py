"""Shifts of made-up pairs are counted by size."""

import json

import numpy as np
import pytest

from benchmarks import gesenet_shifts
from shared_networks.errors import InputError


@pytest.fixture
def dataset_dir(write_picture, shifted_pair, tmp_path):
    """Six registered pairs of CT; of the last one the second picture is off by 4 columns."""
    first, second, shifted = shifted_pair
    items = [
        {
            "mri": str(write_picture(f"m{number}.png", first)),
            "other": str(write_picture(f"o{number}.png", shifted if number == 5 else second)),
            "modality": "CT",
            "case": str(number),
        }
        for number in range(6)
    ]
    (tmp_path / "datalist.json").write_text(json.dumps({"training": items}))
    return tmp_path


def test_every_shift_of_a_made_up_pair_is_found(shifted_pair):
    pair = np.stack(shifted_pair[:2]).astype(np.float32) / 255
    found = gesenet_shifts.measure([pair] * 12)
    assert found.pop("seconds") > 0
    undone = [0, 2, 2, 2, 2, 2]  # a single pixel stays
    assert found == {"moved": 0, "shifted": [2] * 6, "found": undone, "within_1": undone, "exact": undone}


def test_a_report_counts_what_moves_unshifted(dataset_dir, tmp_path):
    words = ["--dataset_dir", str(dataset_dir), "--out", str(tmp_path), "--noise", "0"]
    result = gesenet_shifts.main(words)
    assert result == json.loads((tmp_path / "gesenet_shifts_CT.json").read_text())
    found = result["settings"]["0"]
    assert found["moved"] == 1 and found["shifted"] == [1] * 6 and found["exact"][:5] == [0, 1, 1, 1, 1]
    assert "| 0 | 1 of 6 | found | 0 of 1 |" in (tmp_path / "gesenet_shifts_CT.md").read_text()
    with pytest.raises(InputError, match="no usable pairs of PET in training"):
        gesenet_shifts.main([*words, "--modality", "PET"])
