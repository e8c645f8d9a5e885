"""Pieces below the limit, never smaller than they must be, and a refusal that says what to do."""

import math
import re

import pytest
import torch

from shared_networks.errors import InputError
from shared_networks.inferers import EncodeOnceInferer, FusionInferer
from shared_networks.inferers.memory_plan import rmr_block_voxels, rmr_peak, slices_at_a_time, slices_peak
from shared_networks.inferers.overlapping_blocks import block_size

BRAIN = (146, 165, 135)


@pytest.mark.parametrize(
    ("size", "block", "estimate", "measured"),
    [
        ((64,) * 3, (64,) * 3, 1.193, 1.04),
        ((96,) * 3, (96,) * 3, 2.006, 1.61),
        ((96,) * 3, (70, 70, 96), 1.499, 1.41),
        ((138, 157, 121), (138, 157, 121), 3.389, 2.79),
    ],
)
def test_estimates_lie_above_what_was_measured(size, block, estimate, measured):
    assert rmr_peak(size, block, 14) == pytest.approx(estimate, abs=1e-3) and estimate > measured


@pytest.mark.parametrize("limit", [2.2, 2.5, 3.0, 4.0, 5.0, 8.0])
def test_blocks_are_the_largest_below_the_limit(limit):
    most = rmr_block_voxels(BRAIN, 4_000_000, limit, 14, 28)
    block = block_size(BRAIN, most, 14, 28)
    assert rmr_peak(BRAIN, block, 14) <= limit
    larger = block_size(BRAIN, 4_000_000, 14, 28)
    if block != larger:
        # The next larger block that there is takes too much.
        steps = [larger]
        while steps[-1] != block:
            steps.append(block_size(BRAIN, math.prod(steps[-1]) - 1, 14, 28))
        assert rmr_peak(BRAIN, steps[-2], 14) > limit


def test_a_generous_limit_changes_nothing_and_a_small_one_is_refused():
    assert rmr_block_voxels(BRAIN, 4_000_000, 64.0, 14, 28) == 4_000_000
    smallest = rmr_peak(BRAIN, (56, 56, 56), 14)
    assert rmr_block_voxels(BRAIN, 4_000_000, smallest, 14, 28) >= 56**3
    with pytest.raises(InputError) as caught:
        rmr_block_voxels(BRAIN, 4_000_000, smallest - 0.01, 14, 28)
    message = str(caught.value)
    assert message.startswith("146 x 165 x 135 takes about ") and "crop or resample" in message
    assert float(re.search(r"about ([\d.]+) GiB", message)[1]) == pytest.approx(smallest, abs=0.06)


def test_slices_at_a_time():
    size, pixels = (256, 256, 200), 256 * 256
    for limit in (1.6, 2.0, 2.4, 9.0):
        count = slices_at_a_time(size, pixels, 8, limit)
        assert slices_peak(size, pixels, count) <= limit
        assert count == 8 or slices_peak(size, pixels, count + 1) > limit
    with pytest.raises(InputError, match=r"256 x 256 x 200 takes about .* memory_limit_gb is 0\.5"):
        slices_at_a_time(size, pixels, 8, 0.5)


class Network(torch.nn.Module):
    """Notes how much is in it at a time."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(tuple(x.shape))
        return x.mean(dim=1, keepdim=True)

    encode_fuse = decode = semantic_head = forward


def test_the_inferers_keep_to_it():
    image, network = torch.rand(1, 2, 90, 61, 30), Network()
    limit = rmr_peak(image.shape[2:], (56, 56, 30), 14)
    output = EncodeOnceInferer((90, 61, 30), memory_limit_gb=limit)(image, network)
    assert torch.allclose(output[:, 1:], image.mean(dim=1, keepdim=True), atol=1e-5)
    assert max(math.prod(shape[2:]) for shape in network.seen if shape[1] == 2) <= 56 * 56 * 30
    with pytest.raises(InputError, match="90 x 61 x 30 takes about"):
        EncodeOnceInferer(memory_limit_gb=0.1)(image, network)

    for shape, pixels in (((1, 2, 6, 40, 50), 2000), ((6, 2, 40, 50), 2000)):
        images, network = torch.rand(shape), Network()
        inferer = FusionInferer(0, memory_limit_gb=slices_peak(shape[2:], pixels, 2))
        assert torch.equal(inferer(images, network), images.mean(dim=1, keepdim=True))
        assert {part[0] for part in network.seen} == {2}
        with pytest.raises(InputError, match="memory_limit_gb"):
            FusionInferer(0, memory_limit_gb=0.1)(images, network)
