"""The table of a network's forms: what is timed is the same network, and nothing is timed that is not there."""

import json

import pytest

from benchmarks import forms_speed
from shared_networks.errors import InputError


def test_quick_form_writes_what_it_promises(gesenet_bundle, tmp_path):
    arguments = [str(gesenet_bundle), "--quick", "--device", "cpu", "--forms", "eager", "torchscript"]
    result = forms_speed.main([*arguments, "--out", str(tmp_path)])
    assert json.loads((tmp_path / "forms_speed.json").read_text()) == result
    assert result["shape"] == [1, 2, 16, 16]
    assert list(result["forms"]) == ["eager", "torchscript"]
    assert all(form["seconds"] > 0 and form["largest_difference"] < 1e-4 for form in result["forms"].values())
    assert "| torchscript |" in (tmp_path / "forms_speed.md").read_text()


def test_tensorrt_is_not_timed_where_it_cannot_run(gesenet_bundle, tmp_path):
    arguments = [str(gesenet_bundle), "--quick", "--device", "cpu", "--forms", "tensorrt", "--out", str(tmp_path)]
    with pytest.raises(InputError, match=r"tensorrt needs an NVIDIA GPU .*the device is cpu.*leave it out of --forms"):
        forms_speed.main(arguments)
    assert not list(tmp_path.iterdir())
