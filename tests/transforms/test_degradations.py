"""Degradations: statistics, determinism, identity at strength 0, and which window the mixture breaks."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from scipy.ndimage import gaussian_filter1d

from shared_networks.transforms import DegradeMixtured, RandDegraded, RandDegradeEachd
from shared_networks.transforms.degradations import add_noise, blur_slices

OFF = {"noise_std": (0, 0), "blur_sigma": (0, 0), "windows": (0, 0)}


@pytest.fixture
def image():
    volume = torch.rand(2, 24, 22, 10, generator=torch.Generator().manual_seed(0))
    return MetaTensor(volume, affine=torch.diag(torch.tensor([1.0, 1.0, 3.0, 1.0])))


def degraded(transform, image, seed=0):
    transform.set_random_state(seed)
    return transform({"image": image, "case": "a"})["degraded"]


def test_noise_has_the_stated_deviation_and_is_not_clipped():
    noisy = add_noise(np.zeros((60, 60, 60), np.float32), 0.04, np.random.RandomState(0))
    assert noisy.dtype == np.float32 and noisy.min() < -0.1
    assert noisy.std() == pytest.approx(0.04, rel=0.01) and abs(noisy.mean()) < 3e-4


def test_blur_is_in_plane_with_replicated_borders():
    volume = np.random.default_rng(0).random((9, 8, 3))
    expected = gaussian_filter1d(gaussian_filter1d(volume, 0.6, axis=0, mode="nearest"), 0.6, axis=1, mode="nearest")
    assert np.allclose(blur_slices(volume, 0.6), expected)
    assert np.allclose(blur_slices(np.ones((5, 5, 2)), 3.0), 1.0)
    impulse = np.zeros((9, 9, 3))
    impulse[4, 4, 1] = 1
    assert not blur_slices(impulse, 2.0)[:, :, [0, 2]].any()
    assert np.array_equal(blur_slices(volume, 0.0), volume)


@pytest.mark.parametrize(("transform", "copies"), [(RandDegraded(**OFF), 1), (RandDegradeEachd(**OFF), 3)])
def test_strength_zero_is_the_identity(transform, copies, image):
    result = degraded(transform, image)
    assert isinstance(result, MetaTensor) and torch.equal(result.affine, image.affine)
    assert torch.equal(result.as_tensor(), image.as_tensor().repeat(copies, 1, 1, 1))


@pytest.mark.parametrize("transform", [RandDegraded(), RandDegradeEachd()])
def test_seed_decides_and_the_image_stays(transform, image):
    before = image.clone()
    first, second, third = degraded(transform, image), degraded(transform, image), degraded(transform, image, 1)
    assert torch.equal(first, second) and not torch.equal(first, third) and torch.equal(image, before)


def test_compose_seeds_the_transform(image):
    chain = Compose([RandDegraded()]).set_random_state(3)
    first = chain({"image": image})["degraded"]
    assert not torch.equal(chain({"image": image})["degraded"], first)
    assert torch.equal(chain.set_random_state(3)({"image": image})["degraded"], first)


def test_every_copy_of_the_released_negatives_has_one_degradation(image):
    result = degraded(RandDegradeEachd(largest_window=0.5), image).numpy()
    noisy, blurred, broken = (result[2 * number : 2 * number + 2] - image.numpy() for number in range(3))
    changed = [(np.abs(difference) > 1e-6).mean() for difference in (noisy, blurred, broken)]
    assert changed[0] > 0.99 and changed[1] > 0.9 and 0.01 < changed[2] < 0.9
    # Noise is white and blur keeps the mean of a slice, up to its borders.
    neighbours = np.corrcoef(noisy[0, 1:].ravel(), noisy[0, :-1].ravel())[0, 1]
    assert abs(neighbours) < 0.05
    assert abs(blurred.mean()) < 0.01 < blurred.std()


def test_released_strengths_stay_in_their_ranges():
    flat = MetaTensor(torch.full((2, 40, 40, 20), 0.5))
    stds = [float(degraded(RandDegradeEachd(), flat, seed)[0].std()) for seed in range(40)]
    assert max(stds) < 0.0505 and min(stds) < 0.01 and max(stds) > 0.04
    assert np.mean(stds) == pytest.approx(0.025, abs=0.008)


@pytest.mark.parametrize("share", [0.125, (5, 5, 2)])
def test_windows_are_no_larger_than_stated(share):
    image = MetaTensor(torch.rand(2, 40, 40, 16, generator=torch.Generator().manual_seed(0)))
    only = RandDegradeEachd(windows=(1, 1), largest_window=share)
    extents = []
    for seed in range(30):
        difference = (degraded(only, image, seed)[4:6] - image).abs().numpy() > 1e-6
        for volume in difference:
            extents.append([np.ptp(axis) + 1 for axis in np.nonzero(volume)])
    # The blur of the amplitude changes every voxel of the window, or all but a few.
    assert np.max(extents, axis=0).tolist() == [5, 5, 2] and np.min(extents, axis=0).tolist() == [2, 2, 1]


def test_paper_negative_has_at_least_one_degradation_in_each_modality(image):
    for seed in range(20):
        difference = (degraded(RandDegraded(probability=0.0), image, seed) - image).abs().amax(dim=(1, 2, 3))
        assert (difference > 0).all()


def test_paper_negative_draws_the_degradations_by_themselves(image):
    flat = MetaTensor(torch.full((2, 16, 16, 8), 0.5))
    # A constant volume shows noise only: blur keeps it.
    transform = RandDegraded(noise_std=(0.1, 0.1), windows=(0, 0))
    noisy = [bool(v) for seed in range(200) for v in degraded(transform, flat, seed).std(dim=(1, 2, 3)) > 1e-4]
    # Half of the time, and a third of the 1/8 in which nothing was drawn.
    assert np.mean(noisy) == pytest.approx(0.5 + 1 / 24, abs=0.07)


def test_mixture_is_the_same_for_a_case_and_another_for_another(image):
    data = {"image": image, "case": "a"}
    first = DegradeMixtured()(data)["degraded"]
    np.random.seed(5)
    assert torch.equal(DegradeMixtured()({**data, "other": 1})["degraded"], first)
    assert not torch.equal(DegradeMixtured(seed=1)(data)["degraded"], first)
    assert not torch.equal(DegradeMixtured()({"image": image, "case": "b"})["degraded"], first)
    same = MetaTensor(image[:1].repeat(2, 1, 1, 1))
    channels = DegradeMixtured()({"image": same, "case": "a"})["degraded"]
    assert not torch.equal(channels[0], channels[1])


def test_mixture_at_strength_zero_is_the_identity_and_may_replace_the_image(image):
    transform = DegradeMixtured(output_key="", noise_std=0, blur_sigma=0, windows=0)
    result = transform({"image": image, "case": "a"})
    assert torch.equal(result["image"], image) and "degraded" not in result


def test_mixture_noise_covers_the_whole_volume_unclipped():
    data = {"image": MetaTensor(torch.zeros(2, 60, 60, 20)), "case": "a"}
    result = DegradeMixtured()(data)["degraded"]
    assert result.std().item() == pytest.approx(0.04, rel=0.02) and result.min() < -0.1
    correlation = np.corrcoef(result[0].numpy().ravel(), result[1].numpy().ravel())[0, 1]
    assert abs(correlation) < 0.02


def test_mixture_breaks_one_window_centred_in_the_brain():
    brain = torch.zeros(1, 60, 60, 20, dtype=torch.uint8)
    brain[:, 30:34, 10:14, 8:10] = 1
    image = torch.rand(2, 60, 60, 20, generator=torch.Generator().manual_seed(0))
    for seed in range(6):
        transform = DegradeMixtured(seed=seed, noise_std=0, blur_sigma=0)
        difference = (transform({"image": image, "brain": brain})["degraded"] - image).abs().numpy() > 1e-6
        for volume in difference:
            lower = [axis.min() for axis in np.nonzero(volume)]
            extent = [np.ptp(axis) + 1 for axis in np.nonzero(volume)]
            assert extent == [16, 16, 4]
            centre = tuple(start + side // 2 for start, side in zip(lower, extent, strict=True))
            assert brain[0][centre]


@pytest.mark.parametrize("shape", [(9, 31, 1), (16, 16, 4), (1, 1, 1)])
def test_small_volumes_take_a_smaller_window(shape):
    data = {"image": torch.rand(2, *shape)}
    for transform in (DegradeMixtured(), RandDegraded(), RandDegradeEachd()):
        result = transform(data)["degraded"]
        assert result.shape[1:] == shape and result.isfinite().all()


def test_mixture_on_a_real_brain(data_dir):
    from shared_networks.data import resolve_cases
    from shared_networks.transforms import LoadModalitiesd

    case = next(item for item in resolve_cases(dataset_dir=data_dir / "brain") if item["case"] == "mahdi_ms5-105755")
    data = LoadModalitiesd(label_key="")(case)
    difference = (DegradeMixtured()(data)["degraded"] - data["image"]).as_tensor()
    outside = difference[:, data["brain"][0] == 0]
    # The blur carries a little of the brain's edge outside.
    assert outside.std().item() == pytest.approx(0.04, rel=0.1)
    # Inside, the blur of edges adds to the noise (26 dB in this subject).
    noise_ratio = -10 * difference[:, data["brain"][0] > 0].square().mean().log10().item()
    assert 18 < noise_ratio < 27


def test_a_picture_is_a_volume_of_one_slice():
    picture = np.random.default_rng(0).random((2, 24, 20), dtype=np.float32)
    arguments = {"probability": 1.0, "noise_std": (0.05, 0.05), "largest_window": (8, 8, 1)}
    flat = RandDegraded(**arguments).set_random_state(3)({"image": picture})["degraded"]
    thick = RandDegraded(**arguments).set_random_state(3)({"image": picture[..., None]})["degraded"]
    np.testing.assert_array_equal(flat, thick[..., 0])
    assert 0.01 < np.abs(flat - picture).mean() < 0.5
