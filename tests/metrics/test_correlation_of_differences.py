import numpy as np
import pytest
import torch

from shared_networks.metrics import compute_correlation_of_differences


def test_sum_of_the_sources_scores_two(triplet):
    _, a, b = triplet
    assert compute_correlation_of_differences(a + b, a, b).tolist() == pytest.approx([2.0, 2.0], abs=1e-6)


def test_constant_source_counts_zero_and_an_inverted_one_minus_one(triplet):
    _, a, b = triplet
    constant = torch.full_like(b, 40.0)
    value = compute_correlation_of_differences(constant - a, a, constant)
    assert value.tolist() == pytest.approx([-1.0, -1.0], abs=1e-6)


def test_equals_numpy(triplet):
    expected = [
        np.corrcoef((f - b).ravel(), a.ravel())[0, 1] + np.corrcoef((f - a).ravel(), b.ravel())[0, 1]
        for f, a, b in zip(*(image.numpy() for image in triplet), strict=True)
    ]
    assert compute_correlation_of_differences(*triplet).tolist() == pytest.approx(expected, abs=1e-6)
