"""Structure loss: what it leaves alone, what it changes, and how."""

import numpy as np
import pytest

from shared_networks.transforms.structure_loss import _swap_neighbours, lose_structure

SHAPE, CORNER, SIZE = (20, 18, 6), (3, 5, 1), (8, 9, 4)
WINDOW = tuple(slice(start, start + side) for start, side in zip(CORNER, SIZE, strict=True))


@pytest.fixture
def volume():
    return np.random.default_rng(0).random(SHAPE).astype(np.float32)


def broken(volume, seed=0, **kwargs):
    return lose_structure(volume, CORNER, SIZE, np.random.RandomState(seed), **kwargs)


def test_strength_zero_is_the_identity(volume):
    assert np.allclose(broken(volume, swaps=(0, 0), amplitude_sigma=0), volume, atol=1e-6)


def test_only_the_window_changes_and_the_input_stays(volume):
    before = volume.copy()
    result = broken(volume)
    assert result.dtype == np.float32 and np.array_equal(volume, before)
    outside = np.ones(SHAPE, bool)
    outside[WINDOW] = False
    assert np.array_equal(result[outside], volume[outside])
    changed = np.abs(result - volume)[WINDOW]
    assert (changed.mean(axis=(0, 1)) > 0.01).all()


def test_seed_decides(volume):
    assert np.array_equal(broken(volume), broken(volume))
    assert not np.array_equal(broken(volume), broken(volume, seed=1))


@pytest.mark.parametrize("times", [1, 3, 5])
def test_swaps_exchange_neighbours_on_the_periodic_plane(times):
    random = np.random.RandomState(0)
    for _ in range(50):
        cells = np.arange(12.0).reshape(4, 3)
        _swap_neighbours(cells, times, random)
        moved = np.argwhere(cells != np.arange(12.0).reshape(4, 3))
        assert sorted(cells.ravel()) == list(range(12)) and len(moved) <= 2 * times
        if times == 1:
            apart = np.abs(moved[0] - moved[1])
            assert len(moved) == 2 and np.minimum(apart, [4, 3] - apart).sum() == 1


def test_number_of_swaps_is_drawn_for_every_slice():
    volume = np.random.default_rng(0).random((8, 8, 400))
    for swaps, share in (((0, 1), 1 / 2), ((0, 3), 3 / 4), ((1, 5), 1.0)):
        result = lose_structure(volume, (0, 0, 0), volume.shape, np.random.RandomState(0), swaps, amplitude_sigma=0)
        changed = np.abs(result - volume).max(axis=(0, 1)) > 1e-9
        # Two swaps may undo each other.
        assert changed.mean() == pytest.approx(share, abs=0.07)


def test_blurred_amplitude_of_a_constant_is_the_gaussian_kernel():
    # A constant has one frequency; blurring it spreads the amplitude over its neighbours with phase 0.
    result = lose_structure(np.full((9, 9, 1), 2.0), (0, 0, 0), (9, 9, 1), np.random.RandomState(0), (0, 0), 0.5)
    offset = np.arange(-2, 3)
    kernel = np.exp(-(offset**2) / (2 * 0.5**2))
    kernel /= kernel.sum()
    profile = np.abs((kernel * np.exp(2j * np.pi * np.outer(np.arange(9), offset) / 9)).sum(axis=1))
    assert np.allclose(result[..., 0], 2.0 * np.outer(profile, profile), atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1, 1), (1, 4, 2), (20, 18, 6)])
def test_any_window_works(volume, size):
    assert np.isfinite(lose_structure(volume, (0, 0, 0), size, np.random.RandomState(0))).all()
    assert not lose_structure(np.zeros(SHAPE), (0, 0, 0), size, np.random.RandomState(0)).any()
