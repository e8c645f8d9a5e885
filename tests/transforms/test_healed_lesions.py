"""Lesions that are replaced by white matter."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from shared_networks.transforms import RandHealLesionsd

SHAPE = (32, 30, 12)
BIG, SMALL = (slice(8, 14), slice(8, 14), slice(3, 8)), (slice(20, 22), slice(18, 20), slice(5, 6))


def _brain(noise: float = 0.0) -> dict:
    """White matter of .5 with a gradient, one large and one small lesion of 1 and .9, a border of grey matter of .6."""
    label = np.full(SHAPE, 3, np.float32)
    label[:3] = 2
    image = np.where(label == 2, 0.6, 0.5) + np.linspace(-0.05, 0.05, SHAPE[1])[None, :, None]
    image = image + noise * np.random.default_rng(0).standard_normal(SHAPE)
    for place, value in ((BIG, 1.0), (SMALL, 0.9)):
        label[place], image[place] = 4, value
    brain = np.ones(SHAPE, np.float32)
    brain[-2:], image[-2:], label[-2:] = 0, 0, 0
    affine = torch.diag(torch.tensor([1.0, 1.0, 3.0, 1.0]))
    return {
        "image": MetaTensor(np.stack([image, image])[:].astype(np.float32), affine=affine),
        "label": MetaTensor(label[None], affine=affine),
        "brain": MetaTensor(brain[None], affine=affine),
    }


def _heal(data: dict, seed: int = 0, **options) -> dict:
    transform = RandHealLesionsd("image", prob=1.0, **options)
    return transform.set_random_state(seed)(data)


def test_healed_lesion_is_white_matter_of_its_place():
    data = _brain()
    result = _heal(data, kept=(0.0, 0.0), lower=0.0, upper=100.0)
    assert not (result["label"] == 4).any()
    before, after = data["image"][0].numpy(), result["image"][0].numpy()
    # Scaling: what was the largest value besides lesions is 1 now, the smallest 0.
    inside, far = data["brain"][0].numpy() > 0, np.zeros(SHAPE, bool)
    far[3:5] = far[16:18] = True
    low, high = before[far & inside].min(), before[:3].max()
    np.testing.assert_allclose(after[far], (before[far] - low) / (high - low), atol=0.02)
    expected = 0.5 + np.linspace(-0.05, 0.05, SHAPE[1])[None, :, None] + np.zeros(SHAPE)
    for place in (BIG, SMALL):
        np.testing.assert_allclose(after[place], ((expected - low) / (high - low))[place], atol=0.06)


def test_brain_without_lesions_is_scaled_to_its_percentiles():
    data = _brain(noise=0.02)
    result = _heal(data, kept=(0.0, 0.0))
    inside = data["brain"][0].numpy() > 0
    for channel in result["image"].numpy():
        assert (channel[inside] == 1).mean() == pytest.approx(0.005, abs=0.002)
        assert (channel[inside] == 0).mean() == pytest.approx(0.005, abs=0.002)
        assert not channel[~inside].any()
        # The healed region is as noisy as the white matter elsewhere.
        ratio = channel[9:13, 9:13, 4:7].std() / channel[16:19, 8:28].std()
        assert 0.5 < ratio < 1.5


def test_all_kept_is_the_same_image():
    data = _brain()
    result = _heal(data, kept=(1.0, 1.0))
    assert result["image"] is data["image"] and result["label"] is data["label"]


def test_lesions_are_kept_one_by_one_with_the_drawn_probability():
    left = []
    for seed in range(200):
        label = _heal(_brain(), seed, kept=(0.3, 0.3))["label"][0].numpy()
        big, small = set(np.unique(label[BIG])), set(np.unique(label[SMALL]))
        assert len(big) == len(small) == 1
        left += [big == {4.0}, small == {4.0}]
    assert np.mean(left) == pytest.approx(0.3, abs=0.06)
    assert 0 < np.mean(np.reshape(left, (-1, 2)).sum(axis=1) == 1) < 0.6


def test_further_values_count_as_lesion():
    data = _brain()
    data["label"][0][SMALL] = 5
    assert (_heal(data, kept=(0.0, 0.0))["label"] == 5).sum() == 4
    assert not (_heal(data, kept=(0.0, 0.0), lesions=(4, 5))["label"] > 3).any()


def test_meta_data_and_input_stay():
    data = _brain()
    before = data["image"].clone()
    result = _heal(data, kept=(0.0, 0.0))
    assert torch.equal(data["image"], before)
    assert torch.equal(result["image"].affine, data["image"].affine)
    assert result["label"].dtype == data["label"].dtype


def test_prob_0_changes_nothing():
    data = _brain()
    assert RandHealLesionsd("image", prob=0.0).set_random_state(0)(data)["image"] is data["image"]
