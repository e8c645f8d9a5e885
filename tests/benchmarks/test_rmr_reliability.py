"""Calibration, what a bad case is, and how hits are counted: closed forms."""

import math

import pytest
import torch

from benchmarks.rmr_reliability import calibration, expected_error, hits, is_bad


def test_expected_error_is_the_weighted_distance_of_bins():
    # 4 values of 0.625 (2 right: off by 0.125), 12 values of 0.925 (9 right: off by 0.175).
    probability = torch.tensor([0.625] * 4 + [0.925] * 12)
    right = torch.tensor([1, 1, 0, 0] + [1] * 9 + [0] * 3)
    assert expected_error(probability, right) == pytest.approx(0.25 * 0.125 + 0.75 * 0.175, abs=1e-6)


def test_temperature_moves_the_confidence():
    # Two classes whose most probable one has p = 0.8 at temperature 1, and is right in half of the voxels.
    logits = torch.tensor([[math.log(4.0)] * 10, [0.0] * 10])
    label = torch.tensor([0, 1] * 5)
    found = calibration(logits, label, lesion_class=1, temperatures=(1.0, 2.0))
    assert found["lesions"] == pytest.approx(0.3, abs=1e-6)  # says 0.2, is 0.5
    assert found["temperatures"]["1"]["error"] == pytest.approx(0.3, abs=1e-6)
    assert found["temperatures"]["1"]["log_likelihood"] == pytest.approx(-(math.log(0.8) + math.log(0.2)) / 2)
    # At 2 the logit is log 2: p = 2/3.
    assert found["temperatures"]["2"]["error"] == pytest.approx(1 / 6, abs=1e-6)


def test_voxels_that_nobody_classified_do_not_count():
    logits = torch.tensor([[math.log(4.0)] * 10, [0.0] * 10])
    label = torch.tensor([0, 1] * 5)
    more = torch.cat([logits, torch.tensor([[9.0] * 4, [0.0] * 4])], dim=1), torch.cat([label, torch.full((4,), 255)])
    assert calibration(*more, lesion_class=1) == calibration(logits, label, lesion_class=1)


@pytest.mark.parametrize(
    ("tissues", "lesions", "bad"),
    [((0.9, 0.8, 0.8), 0.6, False), ((0.9, 0.7, 0.7), 0.6, True), ((0.9,) * 3, 0.4, True)],
)
def test_bad(tissues, lesions, bad):
    assert is_bad(dict(zip(("CSF", "GM", "WM"), tissues, strict=True)) | {"WML": lesions}) is bad


def test_hits():
    runs = [{"n": 1, "flags": ["x"]}, {"n": 1, "flags": []}, {"n": 0, "flags": ["y", "z"]}, {"n": 0, "flags": []}]
    assert hits([*runs, {"n": 0, "flags": []}], lambda run: run["n"] == 1) == (1, 2, 1, 3)
