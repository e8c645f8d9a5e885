"""The axis along which a volume is cut into slices."""

from collections.abc import Sequence


def slice_axis(shape: Sequence[int], usual: int) -> int:
    """The usual axis, or for a volume of one slice only, X x 1 x Z or 1 x Y x Z, the one that it was cut along.

    Otherwise a coronal or sagittal slice would be taken for pictures of one line each.
    """
    thin = [axis for axis, length in enumerate(shape) if length == 1]
    return thin[0] if len(thin) == 1 else usual
