"""Boxes around masks."""

import numpy as np
import pytest

from shared_networks.utils.bounding_box import bounding_box


@pytest.mark.parametrize(("margin", "box"), [(0, ((2, 4), (0, 1), (1, 5))), (1, ((1, 5), (0, 2), (0, 5)))])
def test_the_box_holds_everything_and_ends_with_the_array(margin, box):
    mask = np.zeros((7, 6, 5), bool)
    mask[2, 0, 4] = mask[3, 0, 1] = True
    assert bounding_box(mask, margin) == tuple(slice(*side) for side in box)


def test_nothing_gives_the_whole_array():
    assert bounding_box(np.zeros((3, 1), bool), 2) == (slice(0, 3), slice(0, 1))
