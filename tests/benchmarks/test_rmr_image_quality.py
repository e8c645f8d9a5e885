"""Limits and what is degraded, by values."""

import pytest
import torch

from benchmarks.rmr_image_quality import limits_of, measure, settings


def test_limits_are_the_highest_value_and_one_standard_deviation():
    clean = {"a": [[0.5, 0.7], [0.6, 0.8]], "b": [[0.7, 0.7], [0.6, 1.0]]}
    # Standard deviation of two values: their distance by the root of 2.
    assert limits_of(clean) == {"noise": {"t1": 0.84, "flair": 0.6}, "blur": {"t1": 0.7, "flair": 1.14}}


def test_settings_are_one_kind_at_a_time_and_the_mixture_of_the_paper():
    found = settings()
    assert found["clean"] == {"noise_std": 0.0, "blur_sigma": 0.0, "windows": 0}
    assert found["noise 0.04"] == {"noise_std": 0.04, "blur_sigma": 0.0, "windows": 0}
    assert found["mixture"] == {"noise_std": 0.04, "blur_sigma": 0.6, "windows": 1}
    assert len(found) == 10


def test_noise_is_measured_in_the_brain_alone_and_the_same_each_time():
    random = torch.Generator().manual_seed(0)
    image = torch.rand(2, 30, 32, 6, generator=random) * 0.2 + 0.4
    brain = torch.zeros(1, 30, 32, 6)
    brain[:, 4:26, 4:28] = 1
    seen = []

    def smooth(part):
        seen.append(part.clone())
        return torch.full_like(part, 0.5)

    first, second = (measure(image * brain, brain, "a", settings()["noise 0.08"], smooth) for _ in range(2))
    assert first == second
    # The reconstruction is flat: its gradient is 0, and what is left is the noise that was added, and the image's own.
    assert [scores[1] for scores in first] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert (seen[0][0] * (brain == 0) == 0).all() and seen[0].std() > (image * brain).std()
