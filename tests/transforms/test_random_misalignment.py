"""One channel moves, by no more than it was told."""

import pytest
import torch

from shared_networks.transforms import RandMisalignd
from shared_networks.transforms.random_misalignment import _take


def ramps(size: int = 96) -> torch.Tensor:
    """Four channels, of which 1 holds the column of every pixel and 3 the row."""
    rows, columns = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    return torch.stack([rows.sin(), columns, columns.cos(), rows])


def offsets_of(transform: RandMisalignd, seed: int) -> torch.Tensor:
    """Columns and rows by which pixels away from the border were moved."""
    inside = (slice(14, -14), slice(14, -14))
    found = []
    for channel in (1, 3):
        transform.channel = channel
        moved = transform.set_random_state(seed)({"seen": ramps()})["seen"]
        for other in {0, 1, 2, 3} - {channel}:
            assert torch.equal(moved[other], ramps()[other])
        found.append((moved[channel] - ramps()[channel])[inside])
    return torch.stack(found)


def test_a_shift_is_the_same_everywhere_and_within_its_limit():
    transform = RandMisalignd("seen", probability=1.0, shift=5.0, rotation=0.0, bending=0.0)
    shifts = []
    for seed in range(4):
        offsets = offsets_of(transform, seed)
        assert (offsets.amax(dim=(1, 2)) - offsets.amin(dim=(1, 2))).max() < 1e-3
        shifts.append(offsets.mean(dim=(1, 2)))
    assert torch.stack(shifts).abs().max() <= 5.001 and torch.stack(shifts).std(dim=0).min() > 1.0


def test_a_rotation_keeps_the_centre_and_turns_by_its_angle():
    columns, rows = offsets_of(RandMisalignd("seen", probability=1.0, shift=0.0, rotation=3.0, bending=0.0), 0)
    sine = (columns[0] - columns[-1]).mean() / (columns.shape[0] - 1)
    cosine = 1 + (columns[:, -1] - columns[:, 0]).mean() / (columns.shape[1] - 1)
    torch.testing.assert_close(sine**2 + cosine**2, torch.tensor(1.0), atol=1e-4, rtol=0)
    assert 0.001 < sine.abs() <= torch.deg2rad(torch.tensor(3.0)).sin() + 1e-4
    assert abs(columns.mean()) < 1e-3 and abs(rows.mean()) < 1e-3


def test_bending_is_smooth_and_small():
    offsets = offsets_of(RandMisalignd("seen", probability=1.0, shift=0.0, rotation=0.0, bending=1.0), 0)
    assert 0.1 < offsets.abs().max() < 1.5
    assert offsets.diff(dim=1).abs().max() < 0.2 and offsets.diff(dim=2).abs().max() < 0.2


def test_whole_and_half_pixels_are_exact_and_the_border_repeats():
    picture = torch.rand(9, 11, generator=torch.Generator().manual_seed(0))
    offsets = torch.zeros(2, 9, 11)
    torch.testing.assert_close(_take(picture, offsets), picture)
    offsets[0], offsets[1] = 2.0, -1.0
    moved = _take(picture, offsets)
    torch.testing.assert_close(moved[1:, :-2], picture[:-1, 2:])
    torch.testing.assert_close(moved[1:, -1], picture[:-1, -1])
    offsets[0], offsets[1] = 0.5, 0.0
    torch.testing.assert_close(_take(picture, offsets)[:, :-1], (picture[:, :-1] + picture[:, 1:]) / 2)


def test_without_a_change_the_picture_is_equal():
    assert torch.equal(RandMisalignd("seen", probability=0.0)({"seen": ramps()})["seen"], ramps())


def test_a_state_gives_the_same_and_strengths_are_checked():
    first, second = (RandMisalignd("seen", probability=0.7).set_random_state(5) for _ in range(2))
    for _ in range(3):
        assert torch.equal(first({"seen": ramps()})["seen"], second({"seen": ramps()})["seen"])
    with pytest.raises(ValueError, match="must not be negative"):
        RandMisalignd("seen", shift=-1.0)
