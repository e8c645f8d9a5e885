"""Blocks cover a volume, have the size asked for, and differ from the whole near cuts only."""

import math

import pytest
import torch

from shared_networks.inferers.overlapping_blocks import block_size, in_overlapping_blocks


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((146, 165, 135), 4_000_000, (146, 165, 135)),
        # 256 = 154 + 154 - 52: two blocks that overlap by at least 28, rounded up to windows of 14.
        ((256, 256, 256), 4_000_000, (154, 154, 154)),
        ((240, 240, 48), 1_000_000, (140, 140, 48)),
        ((57, 1, 1), 56, (56, 1, 1)),
        # Not smaller than twice the overlap.
        ((56, 50, 300), 1, (56, 50, 56)),
    ],
)
def test_size_of_blocks(size, most, expected):
    assert block_size(size, most, 14, 28) == expected


@pytest.mark.parametrize("size", [(1000, 1, 1), (57, 61, 2), (90, 33, 150)])
@pytest.mark.parametrize("most", [1, 60_000, 10**9])
def test_every_voxel_is_covered_and_what_is_local_does_not_change(size, most):
    x, seen = torch.rand(2, 3, *size), []
    block = block_size(size, most, 14, 28)

    def local(part):
        seen.append(tuple(part.shape[2:]))
        return part[:, :2] * 3 - 1

    assert torch.allclose(in_overlapping_blocks(x, local, block, 28), local(x), atol=1e-5)
    seen.pop()
    assert all(length <= side for shape in seen for length, side in zip(shape, block, strict=True))
    # No block is empty or lies inside its neighbours.
    assert min(math.prod(shape) for shape in seen) > 0
    assert len(seen) == math.prod(
        1 if side == length else -(-(length - 28) // (side - 28)) for side, length in zip(block, size, strict=True)
    )


def test_only_voxels_near_a_cut_differ():
    torch.manual_seed(0)
    convolution = torch.nn.Conv3d(1, 1, (7, 1, 1), padding=(3, 0, 0))
    x = torch.rand(1, 1, 98, 2, 2)
    with torch.no_grad():
        difference = (in_overlapping_blocks(x, convolution, (56, 2, 2), 28) - convolution(x)).abs()
    # Cuts at 28, 56 and 84: three voxels at each see the end of a block, with a weight of 1/1000.
    differs = difference.amax((0, 1, 3, 4)) > 1e-6
    assert set(differs.nonzero().flatten().tolist()) <= {cut + step for cut in (28, 56, 84) for step in range(-3, 3)}
    assert differs.any()
    assert difference.max() < 1e-2


def test_windows_of_blocks_are_those_of_the_whole():
    """A mean over aligned windows of 14 is the same when it is taken block by block."""

    def window_means(part):
        length = part.shape[2]
        groups = torch.arange(length) // 14
        means = torch.stack([part[:, :, groups == group].mean(2) for group in range(int(groups[-1]) + 1)], dim=2)
        return means[:, :, groups]

    x = torch.rand(1, 1, 150, 1, 1)
    assert torch.allclose(in_overlapping_blocks(x, window_means, (70, 1, 1), 28), window_means(x), atol=1e-6)
