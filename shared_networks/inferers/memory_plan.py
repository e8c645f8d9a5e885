"""Main memory that inference takes on a CPU, and the largest pieces that keep it below a limit.

The formulas lie above every peak that was measured (Linux, PyTorch 2.13, float32, the shipped networks), see the
bundles' documentation; the head of the paper's size takes more. GiB; voxels and pixels in millions.
"""

import math
from collections.abc import Sequence

from shared_networks.errors import InputError
from shared_networks.inferers.overlapping_blocks import block_size

_PROCESS = 0.75
"""Python, PyTorch, weights, one window of the head."""
_RMR_VOLUME, _RMR_BLOCK, _RMR_BEYOND = 0.25, 1.1, 0.45
"""Of the volume; of a block up to a million voxels; of a block's further ones, which are convolved in slabs."""
_SLICE, _SLICE_VOLUME = 1.9, 0.05


def rmr_peak(size: Sequence[int], block: Sequence[int], window: int) -> float:
    """Peak memory of RMR-Fusion's inference in GiB, for sizes in voxels.

    ``block`` is encoded at a time, padded up to multiples of ``window``, the side of the encoder's attention window.
    """
    padded = math.prod(-(-side // window) * window for side in block) / 1e6
    of_block = _RMR_BLOCK * min(padded, 1.0) + _RMR_BEYOND * max(padded - 1.0, 0.0)
    return _PROCESS + _RMR_VOLUME * math.prod(size) / 1e6 + of_block


def rmr_block_voxels(size: Sequence[int], most: int, limit: float, window: int, overlap: int) -> int:
    """Largest number of voxels, at most ``most``, that may be encoded at a time below a limit in GiB.

    Raises:
        InputError: when even the smallest blocks take more.
    """
    while True:
        block = block_size(size, most, window, overlap)
        needed = rmr_peak(size, block, window)
        if needed <= limit:
            return most
        most = math.prod(block) - 1
        if block_size(size, most, window, overlap) == block:
            raise _too_large(size, needed, limit)


def slices_peak(size: Sequence[int], pixels: int, at_once: int) -> float:
    """Peak memory of GeSeNet's inference in GiB, of ``at_once`` slices (or pictures) with so many ``pixels`` each at a
    time.
    """
    return _PROCESS + (_SLICE * pixels * at_once + _SLICE_VOLUME * math.prod(size)) / 1e6


def slices_at_a_time(size: Sequence[int], pixels: int, most: int, limit: float) -> int:
    """Largest number of slices, at most ``most``, that may be in the network at a time below a limit in GiB.

    Raises:
        InputError: when even one takes more.
    """
    for at_once in range(most, 0, -1):
        if slices_peak(size, pixels, at_once) <= limit:
            return at_once
    raise _too_large(size, slices_peak(size, pixels, 1), limit)


def _too_large(size: Sequence[int], needed: float, limit: float) -> InputError:
    return InputError(
        f"{' x '.join(map(str, size))} takes about {needed:.1f} GiB of memory even in the smallest pieces, but "
        f"memory_limit_gb is {limit:g}: raise it if the machine has more, or crop or resample the images."
    )
