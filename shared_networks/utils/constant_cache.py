"""Constants that a forward pass needs: made once for each device instead of in every call."""

from collections.abc import Callable, Hashable
from functools import lru_cache, wraps
from typing import TypeVar

import torch

_Made = TypeVar("_Made")
# Enough for the sizes of a training and its validation; volumes of ever new sizes push the oldest out.
_KEPT = 32
_forget: list[Callable[[], None]] = []


def cached_constants(make: Callable[..., _Made]) -> Callable[..., _Made]:
    """Decorate a function that makes tensors from hashable arguments, device and dtype among them.

    An upload in every step makes the host wait for a GPU, and costs time on a CPU too. The tensors that come back are
    shared: they must not be changed. While a graph is recorded (trace, export, compilation) nothing is stored or
    looked up, so that the graph holds its own constants.
    """
    stored = lru_cache(maxsize=_KEPT)(make)
    _forget.append(stored.cache_clear)

    @wraps(make)
    def get(*arguments: Hashable) -> _Made:
        if torch.jit.is_tracing() or torch.compiler.is_compiling() or torch.compiler.is_exporting():
            return make(*arguments)
        # A tensor made in inference mode could not be used in a training afterwards.
        with torch.inference_mode(False):
            return stored(*arguments)

    return get


def forget_constants() -> None:
    """Let go of all constants of all devices, and of their memory."""
    for forget in _forget:
        forget()
