"""Convolutions of a large volume, a slab at a time."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch


def in_slabs(
    function: Callable[..., torch.Tensor], inputs: Sequence[torch.Tensor], planes: int, halo: int, voxels: int
) -> torch.Tensor:
    """``function(*inputs)``, on a CPU computed slab by slab along the first spatial axis where no gradient is recorded.

    The tensors inside ``function`` are then those of a slab, not of the volume. The result is that of the whole volume
    up to rounding: each slab is computed with ``halo`` planes more on either side, which are cut off again, and the
    ends of the volume stay its ends.

    Args:
        function: maps tensors B x C_k x X_k x Y_k x Z_k to one, B x C x X x Y x Z.
        inputs: the tensors, each X_k a multiple of ``planes``.
        planes: where a volume may be cut: the X of the coarsest tensor, those inside ``function`` and the result too.
        halo: how far a voxel of the result looks along the axis, in such planes.
        voxels: largest number of voxels of a slab, halo not counted, in the finest input; but at least one plane.
            Smaller volumes are computed in one piece, like those on a GPU (where time counts more, and whose inference
            goes over to smaller blocks when its memory is full) and of a network that is traced or exported.

    Returns:
        B x C x X x Y x Z, X a multiple of ``planes``.
    """
    if in_one_piece(inputs, voxels):
        return function(*inputs)
    # Equal slabs: a thin last one would be mostly halo.
    count = min(planes, -(-_finest(inputs) // voxels))
    cuts = [planes * index // count for index in range(count + 1)]
    total = torch.empty(0)
    for start, end in pairwise(cuts):
        first, last = max(0, start - halo), min(planes, end + halo)
        scales = [x.shape[2] // planes for x in inputs]
        part = function(*(x[:, :, first * n : last * n] for x, n in zip(inputs, scales, strict=True)))
        scale = part.shape[2] // (last - first)
        if not total.numel():
            total = part.new_empty(*part.shape[:2], planes * scale, *part.shape[3:])
        total[:, :, start * scale : end * scale] = part[:, :, (start - first) * scale : (end - first) * scale]
    return total


def in_one_piece(inputs: Sequence[torch.Tensor], voxels: int) -> bool:
    """Whether :func:`in_slabs` computes these tensors B x C_k x X_k x Y_k x Z_k as a whole."""
    exported = torch.jit.is_tracing() or torch.compiler.is_exporting()
    on_gpu = inputs[0].device.type != "cpu"
    return exported or torch.is_grad_enabled() or on_gpu or _finest(inputs) <= voxels


def _finest(inputs: Sequence[torch.Tensor]) -> int:
    return max(x.shape[0] * math.prod(x.shape[2:]) for x in inputs)
