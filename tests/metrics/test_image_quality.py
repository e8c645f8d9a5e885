"""The quality scores: values that are known, what they do not depend on, and what the shipped weights make of noise."""

import math

import numpy as np
import pytest
import torch
from monai.transforms import Compose, Orientationd

from shared_networks.metrics.image_quality import central_box, detail_scores, image_quality
from shared_networks.nets import DegradationAutoencoder
from shared_networks.transforms import LoadModalitiesd
from shared_networks.transforms.degradations import blur_slices

SHAPE = (30, 32, 6)
EVERYWHERE = torch.ones(SHAPE, dtype=torch.bool)


def random_volume(seed=0):
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))


def test_box_lies_around_the_brain_and_inside_the_volume():
    brain = torch.zeros(40, 50, 30)
    brain[10:20, 44:50, 3] = 1  # centre 14.5, 46.5, 3
    assert central_box(brain, (8, 8, 4)) == (slice(10, 18), slice(42, 50), slice(1, 5))
    assert central_box(brain, (60, 8, 4))[0] == slice(0, 40)
    assert central_box(torch.zeros(40, 50, 30), (8, 8, 4)) == (slice(16, 24), slice(20, 28), slice(12, 16))


def test_gaussian_noise_scores_1_and_few_large_values_0():
    ramp = torch.arange(30.0)[:, None, None].expand(SHAPE)
    noise, _ = detail_scores(ramp, ramp + random_volume(), EVERYWHERE)
    assert noise == pytest.approx(1.0, abs=0.03)
    spot = ramp.clone()
    spot[15, 15, 3] += 5
    assert detail_scores(ramp, spot, EVERYWHERE)[0] == 0.0


@pytest.mark.parametrize("scale", [1.0, 250.0])
def test_blur_is_the_ratio_of_gradients_whatever_the_scale(scale):
    image = scale * random_volume()
    assert detail_scores(image, 0.5 * image, EVERYWHERE)[1] == pytest.approx(0.5, rel=1e-5)
    noise = detail_scores(image, image + scale * random_volume(1), EVERYWHERE)[0]
    assert noise == pytest.approx(detail_scores(random_volume(), random_volume() + random_volume(1), EVERYWHERE)[0])


def test_too_few_voxels_and_constant_images_have_no_score():
    image, few = random_volume(), torch.zeros(SHAPE, dtype=torch.bool)
    few[:9, :9, :6] = True
    assert all(map(math.isnan, detail_scores(image, 0.5 * image, few)))
    assert all(map(math.isnan, detail_scores(torch.ones(SHAPE), image, EVERYWHERE)))
    assert all(map(math.isnan, detail_scores(image, image, EVERYWHERE)))


def test_what_is_outside_the_brain_does_not_count():
    brain = torch.zeros(SHAPE)
    brain[4:26, 4:28] = 1
    image = torch.stack([random_volume(1), random_volume(2)]).abs() + 0.1
    other = torch.where(brain > 0, image, 9.0)

    def reconstruct(part):
        return 0.5 * part + 0.1 * random_volume(3)

    scores = image_quality(image * brain, brain, reconstruct)
    assert torch.isfinite(scores).all() and torch.equal(image_quality(other, brain, reconstruct), scores)


def test_a_missing_modality_has_no_score():
    image = torch.stack([random_volume(1).abs() + 0.1, torch.zeros(SHAPE)])
    scores = image_quality(image, torch.ones(SHAPE), lambda part: 0.5 * part)
    assert torch.isfinite(scores[0]).all() and torch.isnan(scores[1]).all()


def test_shipped_weights_tell_noise_and_blur_from_the_sample(rmr_bundle):
    network = DegradationAutoencoder().load(rmr_bundle / "models" / "autoencoder.pt").eval()
    files = [str(rmr_bundle / "sample_data" / f"{name}.nii.gz") for name in ("t1", "flair")]
    load = Compose([LoadModalitiesd("image", label_key=""), Orientationd(["image", "brain"], "RAS", labels=None)])
    item = load({"image": files, "case": "sample"})
    image, brain = item["image"].as_tensor()[..., 16:30], item["brain"].as_tensor()[0, ..., 16:30]
    random = np.random.RandomState(0)
    noisy = image + 0.06 * torch.as_tensor(random.standard_normal(image.shape), dtype=image.dtype)
    blurred = torch.as_tensor(np.stack([blur_slices(volume, 1.0) for volume in image.numpy()]))
    clean, noise, blur = (image_quality(one * brain, brain, network, (70, 70, 14)) for one in (image, noisy, blurred))
    assert (noise[:, 0] > clean[:, 0] + 0.1).all() and (noise[:, 0] > 0.9).all() and (noise[:, 0] < 1.05).all()
    assert (blur[:, 1] > clean[:, 1] + 0.05).all() and (noise[:, 1] < clean[:, 1]).all()
