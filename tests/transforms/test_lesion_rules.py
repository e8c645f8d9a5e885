"""Brightness against grey matter, and the lesions that stay, by closed forms."""

import numpy as np
import pytest
import torch

from shared_networks.transforms.lesion_rules import flair_brightness, lesions_by_rule, probable_lesions


def test_brightness_is_the_distance_to_the_median_of_grey_matter_in_its_deviations():
    flair = torch.tensor([0.4, 0.5, 0.5, 0.6, 0.9, 0.1])
    grey_matter = torch.tensor([True, True, True, True, True, False])
    # Median 0.5; distances 0.1, 0, 0, 0.1, 0.4, their median 0.1.
    expected = (flair - 0.5) / 0.14826
    assert torch.allclose(flair_brightness(flair, grey_matter), expected, atol=1e-5)


def test_brightness_does_not_depend_on_the_scale():
    flair = torch.rand(6, 7, 8, generator=torch.Generator().manual_seed(0))
    grey_matter = flair > 0.3
    assert torch.allclose(
        flair_brightness(flair, grey_matter), flair_brightness(250 * flair + 40, grey_matter), atol=1e-3
    )


def test_deviation_of_normal_values_is_one():
    flair = torch.randn(50, 50, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.1 + 0.6
    brightness = flair_brightness(flair, torch.ones_like(flair) > 0)
    assert abs(float(brightness.std()) - 1) < 0.01


@pytest.mark.parametrize("flair", [torch.zeros(2, 3, 4), torch.full((2, 3, 4), 0.5)])
def test_nothing_is_bright_without_a_scale(flair):
    assert not flair_brightness(flair, torch.ones_like(flair) > 0).any()
    assert not flair_brightness(flair, torch.zeros_like(flair) > 0).any()


def test_a_threshold_itself_counts_and_the_least_brightness_does_not():
    probability = torch.tensor([0.25, 0.25, 0.125, 0.5])
    assert probable_lesions(probability, None, 0.5, None, None).tolist() == [False, False, False, True]
    brightness = torch.tensor([2.0, 3.0, 3.0, 0.0])
    assert probable_lesions(probability, brightness, 0.5, 0.25, 2.0).tolist() == [False, True, False, True]


def test_a_lesion_stays_in_white_matter_or_where_it_is_bright():
    """Three lesions of four voxels of 0.5 ml: in white matter, bright, neither; and one of a single voxel."""
    lesion = np.zeros((8, 4, 1), bool)
    lesion[0], lesion[2], lesion[4], lesion[6, 0] = True, True, True, True
    white_matter, brightness = np.zeros(lesion.shape, bool), np.zeros(lesion.shape)
    white_matter[0, :3] = white_matter[4, :2] = white_matter[6] = True
    brightness[2] = np.array([1.0, 2.0, 2.0, 3.0])[:, None]
    brightness[4] = np.array([1.0, 2.0, 2.0, 2.9])[:, None]
    stays, small = lesions_by_rule(lesion, white_matter, brightness, 0.5, 1.0, 0.75, 2.0)
    assert stays.any(axis=(1, 2)).tolist() == [True, False, True, False, False, False, False, False]
    assert (stays <= lesion).all() and small == {"count": 1, "volume_ml": 0.5}
    stays, _ = lesions_by_rule(lesion, white_matter, None, 0.5, 1.0, 0.75, 2.0)
    assert stays.any(axis=(1, 2)).tolist() == [True, False, False, False, False, False, False, False]
    stays, _ = lesions_by_rule(lesion, white_matter, None, 0.5, 0.0, 0.5)
    assert stays.any(axis=(1, 2)).tolist() == [True, False, False, False, True, False, True, False]
