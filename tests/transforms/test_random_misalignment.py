"""One channel moves, and the offsets that come with it move it back."""

import numpy as np
import pytest
import torch

from shared_networks.blocks.offset_field import move
from shared_networks.transforms import RandMisalignd


def smooth(size: int = 96) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size) / 7.0, torch.arange(size) / 9.0, indexing="ij")
    return torch.stack([rows.sin(), 0.5 + 0.5 * rows.sin() * columns.cos()])


@pytest.mark.parametrize(
    ("strengths", "largest"),
    [
        ({"shift": 5.0, "rotation": 0.0, "bending": 0.0}, 0.02),
        ({"shift": 0.0, "rotation": 3.0, "bending": 0.0}, 0.02),
        ({"shift": 5.0, "rotation": 3.0, "bending": 1.0}, 0.03),
    ],
)
def test_offsets_move_the_channel_back(strengths, largest):
    image = smooth()
    transform = RandMisalignd("seen", probability=1.0, **strengths).set_random_state(0)
    changes = []
    for _ in range(3):
        d = transform({"seen": image})
        assert torch.equal(d["seen"][0], image[0])
        inside = (slice(None), slice(12, -12), slice(12, -12))
        back = move(d["seen"][None, 1:], d["offsets"][None])[0]
        changes.append((d["seen"][1:] - image[1:])[inside].abs().max())
        assert (back - image[1:])[inside].abs().max() < largest
        limit = strengths["shift"] + np.radians(strengths["rotation"]) * 48 * 1.1 + 1.5 * strengths["bending"]
        assert d["offsets"][inside].abs().max() <= limit
    assert max(changes) > 3 * largest


def test_a_shift_is_one_offset_everywhere():
    transform = RandMisalignd("seen", probability=1.0, shift=5.0, rotation=0.0, bending=0.0).set_random_state(1)
    offsets = transform({"seen": smooth()})["offsets"][:, 12:-12, 12:-12]
    assert (offsets.amax(dim=(1, 2)) - offsets.amin(dim=(1, 2))).max() < 1e-3


def test_without_a_change_the_offsets_are_zero():
    d = RandMisalignd("seen", probability=0.0)({"seen": smooth()})
    assert torch.equal(d["seen"], smooth()) and not d["offsets"].any()


def test_a_state_gives_the_same_and_strengths_are_checked():
    first, second = (RandMisalignd("seen", probability=0.7).set_random_state(5) for _ in range(2))
    for _ in range(3):
        assert torch.equal(first({"seen": smooth()})["seen"], second({"seen": smooth()})["seen"])
    with pytest.raises(ValueError, match="must not be negative"):
        RandMisalignd("seen", shift=-1.0)
