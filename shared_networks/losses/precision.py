"""Losses in single precision, whatever precision the network runs in."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch.utils._pytree import tree_flatten, tree_map

_Forward = TypeVar("_Forward", bound=Callable[..., torch.Tensor])


def in_single_precision(forward: _Forward) -> _Forward:
    """Decorate a loss's ``forward``: no autocast inside, and half-precision arguments become float32.

    Variances lose all their digits in a half precision, grey levels on 0..255 have squares beyond the range of float16,
    and a constant of 1e-12 that guards a logarithm is 0 there. Double precision stays what it is.
    """

    @wraps(forward)
    def wrapped(self: torch.nn.Module, *arguments: Any, **keywords: Any) -> torch.Tensor:
        tensors = [leaf for leaf in tree_flatten((arguments, keywords))[0] if isinstance(leaf, torch.Tensor)]
        arguments, keywords = tree_map(_widened, (arguments, keywords))
        with torch.autocast(tensors[0].device.type, enabled=False):
            return forward(self, *arguments, **keywords)

    return wrapped


def _widened(value: Any) -> Any:
    is_narrow = isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype.itemsize < 4
    return value.float() if is_narrow else value
