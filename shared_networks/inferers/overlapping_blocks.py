"""A function of a whole volume, computed in overlapping blocks when the volume is too large."""

import math
from collections.abc import Callable, Sequence
from itertools import product

import torch


def in_overlapping_blocks(
    x: torch.Tensor,
    function: Callable[[torch.Tensor], torch.Tensor],
    block: Sequence[int],
    overlap: int,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Apply ``function`` to blocks of a volume and blend the results where blocks overlap.

    Blocks start at multiples of the block's side less the overlap and nothing is padded: when both are multiples of an
    attention window, the windows inside a block are those of the whole volume, and only voxels near a cut differ.
    MONAI's sliding window does neither (it moves the last block back to fit, and its Gaussian has a floor that lets
    the corners of a block count too much).

    Args:
        x: B x C x X x Y x Z.
        function: maps B x C x block to B x D x block.
        block: sides of a block, above ``overlap`` where the axis is longer than the block.
        overlap: voxels that neighbouring blocks share.
        device: where the result is put together; None leaves it where ``function`` gives it.

    Returns:
        B x D x X x Y x Z.
    """
    size = tuple(x.shape[2:])
    if all(side >= length for side, length in zip(block, size, strict=True)):
        return function(x).to(device)
    cuts = [
        [slice(start, min(start + side, length)) for start in range(0, max(1, length - overlap), side - overlap)]
        if side < length
        else [slice(0, length)]
        for side, length in zip(block, size, strict=True)
    ]
    total = sums = torch.empty(0)
    for where in product(*cuts):
        part = function(x[(..., *where)]).to(device)
        weights = _weights(where, size, overlap).to(part)
        if not total.numel():
            total = part.new_zeros((*part.shape[:2], *size))
            sums = part.new_zeros(size)
        total[(..., *where)] += part * weights
        sums[where] += weights
    return total.div_(sums)


def block_size(size: Sequence[int], most: int, window: int, overlap: int) -> tuple[int, ...]:
    """Sides of equal blocks, as few as leave at most ``most`` voxels in one, or no side above twice the overlap.

    The longest side is cut first; cut sides are multiples of ``window``.
    """
    counts = [1] * len(size)
    while True:
        block = tuple(
            length if n == 1 else -(-(length + (n - 1) * overlap) // (n * window)) * window
            for length, n in zip(size, counts, strict=True)
        )
        longest = max(block)
        if math.prod(block) <= most or longest <= 2 * overlap:
            return block
        counts[block.index(longest)] += 1


def _weights(where: Sequence[slice], size: Sequence[int], overlap: int) -> torch.Tensor:
    """Nearly 0 in the outer quarter of the overlap with a neighbour, 1 in the inner one, a ramp between."""
    weights = torch.ones(())
    for part, length in zip(where, size, strict=True):
        position = torch.arange(part.start, part.stop) + 0.5
        # The border of the volume is no cut.
        before = position - part.start if part.start else torch.full_like(position, torch.inf)
        after = part.stop - position if part.stop < length else torch.full_like(position, torch.inf)
        ramp = ((torch.minimum(before, after) - overlap / 4) / (overlap / 2)).clamp(1e-3, 1.0)
        weights = weights[..., None] * ramp
    return weights
