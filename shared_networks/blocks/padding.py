"""Sizes that a network cannot take are padded before it and cropped after it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F


def next_multiple(size: Sequence[int], divisor: int | Sequence[int]) -> tuple[int, ...]:
    """Per axis the smallest multiple of ``divisor`` that is not below ``size``."""
    steps = [divisor] * len(size) if isinstance(divisor, int) else divisor
    return tuple(-(-int(length) // step) * step for length, step in zip(size, steps, strict=True))


def pad_to(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Repeat the last voxels of each axis until B x C x X x Y x Z has the spatial ``size``; nothing is cut."""
    missing = [max(0, int(wanted) - int(length)) for wanted, length in zip(size, x.shape[2:], strict=True)]
    if not any(missing):
        return x
    return F.pad(x, [pad for axis in reversed(missing) for pad in (0, axis)], mode="replicate")


def crop_to(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """Undo :func:`pad_to`: the first ``size`` voxels of each axis of B x C x X x Y x Z."""
    return x[:, :, : int(size[0]), : int(size[1]), : int(size[2])]
