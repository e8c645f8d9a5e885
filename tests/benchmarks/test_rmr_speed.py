"""The forms that the benchmark of RMR-Fusion times compute the same."""

import json

import pytest
import torch
from monai.networks.nets import UNet

from benchmarks import rmr_speed
from shared_networks.nets import RMRFusionNet


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    head = UNet(3, 16, 5, channels=(4, 8), strides=(2,))
    return RMRFusionNet(head, head_divisor=2).eval()


@pytest.mark.parametrize("form", ["one_pass", "released"])
def test_in_one_window_all_forms_give_the_same(network, form):
    image = torch.rand(1, 2, 14, 16, 9)
    expected = rmr_speed.run_form("encode_once", network, image, [16, 16, 16], 0.25)["output"]
    measured = rmr_speed.run_form(form, network, image, [14, 16, 9], 0.25)
    assert expected.shape == (1, 6, 14, 16, 9)
    assert torch.allclose(measured["output"], expected, atol=1e-5)
    assert measured["seconds"] > 0


def test_quick_form_writes_what_it_promises(tmp_path):
    result = rmr_speed.main(["--quick", "--threads", "1", "--forms", "encode_once", "released", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "rmr_speed.json").read_text()) == result
    assert list(result["forms"]) == ["encode_once", "released"]
    assert result["forms"]["released"]["shape"] == [20, 18, 9]
    text = (tmp_path / "rmr_speed.md").read_text()
    assert "| released |" in text and "1.00 times as fast" in text
