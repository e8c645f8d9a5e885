"""Noise is measured in the tissue of a picture, and taken out where there is more of it than anatomy looks like."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from shared_networks.data import resolve_pairs
from shared_networks.metrics import compute_ssim
from shared_networks.transforms import DenoisePicturesd, DisturbPaird, LoadFusionPaird
from shared_networks.transforms.denoise_pictures import estimate_noise


@pytest.fixture(scope="module")
def disc():
    """A disc of 0.5 with a darker half on black, 96 x 100."""
    rows, columns = np.mgrid[:96, :100]
    inside = (rows - 48) ** 2 + (columns - 50) ** 2 < 40**2
    return (0.5 * inside - 0.2 * (inside & (columns < 50))).astype(np.float32)


def noisy(picture: np.ndarray, std: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(picture.shape)
    return (picture + std * noise).clip(0, 1).astype(np.float32)


@pytest.mark.parametrize("std", [0.02, 0.05, 0.1])
def test_white_noise_is_measured_whatever_the_background(disc, std):
    assert estimate_noise(noisy(disc, std)) == pytest.approx(std, rel=0.13)
    assert estimate_noise(noisy(disc, std) * (disc > 0)) == pytest.approx(std, rel=0.13)
    volume = np.stack([noisy(disc, std, seed) for seed in range(3)], axis=-1)
    assert estimate_noise(volume) == pytest.approx(std, rel=0.13)


def test_a_single_slice_of_any_direction_is_denoised_like_the_picture(disc):
    pair = torch.from_numpy(np.stack([disc, noisy(disc, 0.06)]))
    expected = DenoisePicturesd()({"image": pair, "warning": ""})
    for axis in (1, 2, 3):
        d = DenoisePicturesd()({"image": pair.unsqueeze(axis), "warning": ""})
        assert torch.equal(d["image"], expected["image"].unsqueeze(axis))
        assert d["warning"] == expected["warning"] and "noise of 0.06" in d["warning"]


def test_edges_slopes_and_black_pictures_are_no_noise(disc):
    assert estimate_noise(disc) == 0.0
    slope = np.linspace(0.1, 0.9, 100, dtype=np.float32) * np.ones((96, 1), np.float32)
    assert estimate_noise(slope) == pytest.approx(0.0, abs=1e-6)
    assert estimate_noise(np.zeros_like(disc)) == 0.0
    assert estimate_noise(noisy(disc, 0.05)[:14, :14]) == 0.0


def test_only_the_noisy_source_changes_and_comes_back_closer(disc):
    pair = MetaTensor(np.stack([noisy(disc, 0.06), disc]), meta={"filename_or_obj": "folder/mr.png"})
    d = DenoisePicturesd()({"image": pair, "warning": "dark"})
    assert torch.equal(d["image"][1], pair[1])
    before, after = (float((image[0].numpy() - disc).std()) for image in (pair, d["image"]))
    assert after < 0.35 * before
    assert d["image"].meta["filename_or_obj"] == "folder/mr.png"
    assert d["warning"] == "dark; mr.png: noise of 0.06 of the range taken out (denoise_pictures)"
    assert np.array_equal(pair[0].numpy(), noisy(disc, 0.06)), "the pair that was given is as it was"


def test_a_volume_is_denoised_slice_by_slice(disc):
    slices = [noisy(disc, 0.06, seed) for seed in range(2)]
    volume = torch.from_numpy(np.stack([np.stack(slices, axis=-1), np.stack([disc, disc], axis=-1)]))
    found = DenoisePicturesd()({"image": volume})
    noise = estimate_noise(volume[0].numpy())
    alone = DenoisePicturesd()._denoised(slices[1], noise)
    assert np.array_equal(found["image"][0, ..., 1].numpy(), alone.astype(np.float32))
    assert found["warning"] == "source 1: noise of 0.06 of the range taken out (denoise_pictures)"


@pytest.mark.parametrize(
    ("std", "options"),
    [(0.0, {}), (0.02, {"least_noise": (0.03, 0.03)}), (0.3, {}), (0.06, {"least_noise": (0.07, 0.07)})],
)
def test_what_is_clean_or_nothing_but_noise_stays_the_same_object(disc, std, options):
    pair = torch.from_numpy(np.stack([noisy(np.full_like(disc, 0.5), std), disc]))
    d = DenoisePicturesd(**options)({"image": pair})
    assert d["image"] is pair and d["warning"] == ""


@pytest.mark.parametrize("options", [{"least_noise": (0.03, 0.0)}, {"largest_noise": 0.01}, {"strength": 0.0}])
def test_useless_limits_are_refused(options):
    with pytest.raises(ValueError, match="must be positive"):
        DenoisePicturesd(**options)


def test_clean_atlas_pictures_stay_and_noisy_ones_come_back(data_dir):
    pairs = resolve_pairs(dataset_dir=str(data_dir / "harvard"), section="training")[::60]
    load, denoise, disturb = LoadFusionPaird(keys="image"), DenoisePicturesd(), DisturbPaird("image", noise_std=0.05)
    for pair in pairs:
        clean = load(pair)
        assert denoise(clean)["image"] is clean["image"]
        given = disturb(clean)
        back = denoise(given)["image"]

        def likeness(image: torch.Tensor, clean: torch.Tensor = clean["image"]) -> float:
            return float(compute_ssim(255 * image[:1, None].float(), 255 * clean[:1, None].float()))

        assert likeness(back) > likeness(given["image"]) + 0.2
