"""The framework against its head alone, fold by fold."""

import pytest
from PIL import Image

from benchmarks import rmr_folds
from shared_networks.errors import InputError

HEADER = "case,Dice_CSF,Dice_GM,Dice_WM,Dice_WML,Dice_mean,HD95_WML\n"
TABLES = {
    "fold0_rmr_fusion_clean": ["a,0.8,0.8,0.8,0.6,0.75,9", "b,0.8,0.8,0.8,,0.8,9"],
    "fold1_rmr_fusion_clean": ["c,0.9,0.9,0.9,0.5,0.8,9"],
    "fold0_head_alone_clean": ["a,0.8,0.8,0.8,0.4,0.70,9", "b,0.8,0.8,0.8,,0.8,9"],
    "fold1_head_alone_clean": ["c,0.9,0.9,0.9,0.6,0.825,9"],
}


@pytest.fixture
def tables(tmp_path):
    for name, rows in TABLES.items():
        for condition in ("clean", "degraded"):
            file = tmp_path / f"{name.removesuffix('clean')}{condition}.csv"
            file.write_text(HEADER + "\n".join(rows) + "\n")
    return tmp_path


def test_means_and_paired_differences_over_all_folds(tables):
    result = rmr_folds.main([str(tables), "--out", str(tables / "out")])
    lines = (tables / "out" / "rmr_folds.md").read_text().splitlines()
    assert lines[2] == "| RMR-Fusion | clean | 0.833 | 0.833 | 0.833 | 0.550 | 0.783 |"
    assert lines[5] == "| its head alone | degraded | 0.833 | 0.833 | 0.833 | 0.500 | 0.775 |"
    # Of two subjects with lesions: +0.2, -0.1; of all three: +0.05, 0, -0.025.
    assert lines[6].split(" | ")[5].startswith("+0.050 [-0.100, +0.200], 1 of 2")
    assert lines[7].split(" | ")[6].startswith("+0.008 [-0.025, +0.050], 1 of 3")
    assert result["methods"]["head_alone"]["clean"]["Dice_WML"] == {"a": 0.4, "b": None, "c": 0.6}
    with Image.open(tables / "out" / "rmr_folds.png") as picture:
        assert picture.size[0] > picture.size[1] > 200


def test_a_method_without_tables_is_refused(tables):
    with pytest.raises(InputError, match=r"no \*_unet_clean.csv; run evaluate.json with --method unet"):
        rmr_folds.main([str(tables), "--first", "unet", "--out", str(tables / "out")])
    assert not (tables / "out").exists()
