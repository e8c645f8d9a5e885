"""Multiply-adds of the parts against closed forms, and that the report holds them."""

import json

import torch
from torch import nn

from benchmarks import rmr_floor


def test_meter_counts_each_part_in_each_call():
    network = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.Conv3d(3, 5, 1), nn.ReLU())
    meter = rmr_floor.Meter(network, {"first": ["0"], "others": ["1", "2"]}, torch.device("cpu"))
    network(torch.rand(1, 2, 4, 5, 6))
    network(torch.rand(1, 2, 4, 5, 6))
    assert meter.multiply_adds == {"first": 2 * 120 * 2 * 3 * 27, "others": 2 * 120 * 3 * 5}
    assert set(meter.seconds) == {"first", "others"}


class Attention(nn.Module):
    def forward(self, x):
        return nn.functional.scaled_dot_product_attention(x, x[..., :5, :], x[..., :5, :])


def test_attention_counts():
    network = nn.Sequential(Attention())
    meter = rmr_floor.Meter(network, {"attention": ["0"]}, torch.device("cpu"))
    with torch.no_grad():
        network(torch.rand(2, 3, 7, 8))
    assert meter.multiply_adds == {"attention": 2 * (2 * 3 * 7 * 5 * 8)}


def test_quick_form(tmp_path):
    result = rmr_floor.main(["--quick", "--threads", "1", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "rmr_floor.json").read_text()) == result
    parts = {name: part["multiply_adds"] for name, part in result["parts"].items()}
    # Decoder: four convolutions of 16, 8, 8 and 8 to 8 channels, one of 8 to 1; the fused volume is decoded once.
    assert parts["decoder"] == 20 * 18 * 9 * (27 * 8 * (16 + 3 * 8) + 8)
    assert parts["detail gate"] == 20 * 18 * 9 * (9 * 8 * (21 + 8) + 8 + 2)
    assert all(parts.values()) and result["floor_seconds"] == sum(parts.values()) / max(result["rates"])
    assert "| all |" in (tmp_path / "rmr_floor.md").read_text()
