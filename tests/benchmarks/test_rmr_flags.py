"""Flags of a finished run against labels: closed forms."""

import json

import numpy as np
import pytest

from benchmarks.rmr_flags import compare, main, table

LABEL = np.zeros((6, 6, 4), np.uint8)
LABEL[0], LABEL[1], LABEL[2], LABEL[3] = 1, 2, 3, 4


@pytest.fixture
def run(write_volume, tmp_path):
    """A run over three labelled cases, of which one has no lesion right, one without a label, and a refused one."""
    wrong = LABEL.copy()
    wrong[3] = 3
    for name, found in (("right", LABEL), ("wrong", wrong), ("missed", wrong)):
        write_volume(f"results/{name}/{name}_seg.nii.gz", found)
        write_volume(f"brains/{name}/label.nii.gz", LABEL)
    rows = ["case,status,flags", "right,ok,noise_t1 blur_t1", "wrong,warned,warning", "missed,ok,"]
    rows += ["unlabelled,ok,", "refused,refused,refused"]
    (tmp_path / "results" / "cases.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "results" / "run_report.json").write_text(json.dumps({"weights": {"file": "model.pt", "sha256": "0"}}))
    items = [{"subject": name, "label": f"{name}/label.nii.gz"} for name in ("right", "wrong", "missed", "refused")]
    sections = {"name": "made up", "training": items[:2], "validation": [*items[2:], {"subject": "unlabelled"}]}
    (tmp_path / "brains" / "datalist.json").write_text(json.dumps(sections))
    return tmp_path


def test_dice_of_two_files(run):
    dice = compare(run / "results/wrong/wrong_seg.nii.gz", run / "brains/wrong/label.nii.gz")
    # 24 voxels a class; the map has 48 of WM, 24 of them right.
    assert dice == pytest.approx({"CSF": 1.0, "GM": 1.0, "WM": 2 * 24 / (48 + 24), "WML": 0.0})


def test_flags_are_counted_over_the_labelled_cases(run):
    words = ["--results", run / "results", "--datalist", run / "brains" / "datalist.json", "--out", run / "out"]
    result = main([str(word) for word in words])
    assert [case["case"] for case in result["cases"]] == ["right", "wrong", "missed"]
    assert [case["flags"] for case in result["cases"]] == [["noise_t1", "blur_t1"], ["warning"], []]
    assert result["command"].endswith("--results RESULTS --datalist BRAINS/datalist.json")
    assert "| 3 | 1 of 2 | 1 of 1 |" in table(result)
    assert "| wrong | 0.889 | 0.000 | yes | warning |" in (run / "out" / "rmr_flags.md").read_text()
