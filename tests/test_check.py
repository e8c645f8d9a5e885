"""The command line of the check: keys mean what they mean for inference, written in the same way."""

import json

import numpy as np
import pytest
from PIL import Image

from shared_networks import check
from shared_networks.errors import InputError


@pytest.fixture
def pictures(tmp_path):
    """Arguments that name two pictures of different sizes."""
    for name, size in (("mri", 40), ("ct", 48)):
        pixels = np.random.default_rng(size).integers(0, 255, (size, size), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return ["--mri", str(tmp_path / "mri.png"), "--other", str(tmp_path / "ct.png")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "the sizes differ, 40 x 40 against 48 x 48"),
        (["--resample", "False"], "the sizes differ, 40 x 40 against 48 x 48"),
        (["--resample", "True"], ""),
        (["--resample=true"], ""),
        (["--resample"], ""),
        (
            ["--resample", "True", "--dicom-output", "True"],
            "no DICOM series, so that no DICOM output can be made",
        ),
        (
            ["--resample", "True", "--bias_correction", "True"],
            "a picture; align, bias_correction and brain_mask are",
        ),
    ],
)
def test_switches_are_written_as_for_inference(pictures, tmp_path, options, said):
    code = check.main([*pictures, *options, "--json", str(tmp_path / "c.json")])
    (case,) = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["cases"]
    assert (code, case["status"]) == ((2, "refused") if said else (0, "warned")) and said in case["reason"]


def test_a_switch_is_nothing_else(pictures):
    with pytest.raises(InputError, match="argument --align: must be True or False, got 'maybe'; see"):
        check.main([*pictures, "--align", "maybe"])


def test_the_section_has_both_names(pictures, tmp_path, capsys):
    keys = dict(zip(["mri", "other"], pictures[1::2], strict=True))
    path = tmp_path / "d.json"
    path.write_text(json.dumps({"training": [keys | {"name": "a"}], "test": [keys | {"name": "b"}]}))
    for name in ("--section", "--datalist_section"):
        check.main(["--datalist", str(path), name, "training", "--resample"])
        assert capsys.readouterr().out.startswith("a ")
