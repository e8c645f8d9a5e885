"""The simple brain mask, on a head that is made of shells."""

import numpy as np
import pytest

from shared_networks.clinical.brain_mask import simple_brain_mask
from shared_networks.errors import InputError

AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])
SHAPE = (110, 120, 70)


def head(fat, bridges=True):
    """Brain with a dark ventricle, fluid, skull, fat; and two thin bright bridges through the skull."""
    x, y, z = (np.indices(SHAPE)[axis] * size for axis, size in enumerate((2, 2, 3)))
    centre = np.array(SHAPE) * (1, 1, 1.5)
    radius = np.sqrt(((x - centre[0]) / 65) ** 2 + ((y - centre[1]) / 80) ** 2 + ((z - centre[2]) / 65) ** 2) * 65
    values = np.full(SHAPE, 2.0)
    for inner, outer, level in ((0, 8, 30), (8, 65, 100), (65, 68, 30), (68, 75, 8), (75, 82, fat)):
        values[(radius >= inner) & (radius < outer)] = level
    if bridges:
        for side in (-15, 15):
            rod = np.hypot(x - centre[0] - side, z - centre[2]) < 2.5
            values[rod & (radius >= 60) & (radius < 80) & (y > centre[1])] = 90
    return values + np.random.default_rng(0).normal(0, 3, SHAPE), radius < 65


@pytest.mark.parametrize("fat", [80, 150, 300])
def test_brain_is_told_from_the_rest_of_the_head(fat):
    values, brain = head(fat)
    mask, remark = simple_brain_mask(values, AFFINE)
    assert mask.dtype == bool and remark == ""
    assert 2 * (mask & brain).sum() / (mask.sum() + brain.sum()) > 0.95
    centre = tuple(length // 2 for length in SHAPE)
    assert mask[centre] and values[centre] < 50  # the ventricle


def test_what_has_not_the_size_of_a_brain_gives_a_warning():
    values, _ = head(150, bridges=False)
    mask, remark = simple_brain_mask(values, AFFINE / 2)
    assert mask.any() and "which is no whole brain" in remark


def test_no_head_at_all_is_refused():
    values = np.zeros((30, 30, 30))
    values[::5, ::5, ::5] = 1.0
    with pytest.raises(InputError, match="no brain can be told"):
        simple_brain_mask(values, np.eye(4))
