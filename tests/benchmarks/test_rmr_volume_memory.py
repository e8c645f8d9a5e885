"""The benchmark of memory by volume size runs."""

import json

import pytest

from benchmarks import rmr_volume_memory


@pytest.mark.full
def test_quick(tmp_path):
    result = rmr_volume_memory.main(["--quick", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "rmr_volume_memory.json").read_text()) == result
    (case,) = result["cases"]
    # Of so small a volume nearly all memory is the libraries', which differs with what else is installed.
    assert 50 * 2**20 < case["peak_bytes"] < (case["estimated_gib"] + 0.5) * 2**30
    assert "| 12 x 12 x 12 |  | one piece |" in (tmp_path / "rmr_volume_memory.md").read_text()
