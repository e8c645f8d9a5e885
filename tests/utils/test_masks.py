"""Boxes around masks, and closing by a ball in mm against its definition."""

import numpy as np
import pytest
from scipy.ndimage import binary_closing

from shared_networks.utils.masks import bounding_box, closed


@pytest.mark.parametrize(("margin", "box"), [(0, ((2, 4), (0, 1), (1, 5))), (1, ((1, 5), (0, 2), (0, 5)))])
def test_the_box_holds_everything_and_ends_with_the_array(margin, box):
    mask = np.zeros((7, 6, 5), bool)
    mask[2, 0, 4] = mask[3, 0, 1] = True
    assert bounding_box(mask, margin) == tuple(slice(*side) for side in box)


def test_nothing_gives_the_whole_array():
    assert bounding_box(np.zeros((3, 1), bool), 2) == (slice(0, 3), slice(0, 1))


def by_definition(mask, spacing, radius):
    reach = [int(radius / size) + 1 for size in spacing]
    offsets = [np.arange(-width, width + 1) * size for width, size in zip(reach, spacing, strict=True)]
    axes = np.meshgrid(*offsets, indexing="ij")
    ball = sum(axis**2 for axis in axes) <= radius**2 + 1e-9
    wide = [2 * width for width in reach]
    filled = binary_closing(np.pad(mask, [(width, width) for width in wide]), ball)
    return filled[tuple(slice(width, -width) for width in wide)]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.9, 3.0)])
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_it_is_dilation_and_erosion_by_a_ball(spacing, share):
    mask = np.random.default_rng(0).random((14, 12, 9)) < share
    assert np.array_equal(closed(mask, np.array(spacing), 2.5), by_definition(mask, spacing, 2.5))


def test_an_empty_mask_and_a_ball_stay():
    assert not closed(np.zeros((4, 5, 6), bool), np.ones(3), 3.0).any()
    x, y, z = np.indices((21, 21, 21)) - 10
    ball = x**2 + y**2 + z**2 <= 64
    assert np.array_equal(closed(ball, np.ones(3), 3.0), ball)
