"""When a GPU is too small for a volume: smaller pieces, then main memory, then the processor."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from shared_networks.utils.memory import is_gpu_memory_error


def first_that_fits(ways: Iterable[tuple[str, Callable[[], torch.Tensor]]], logger: logging.Logger) -> torch.Tensor:
    """The result of the first way that the GPU has memory for.

    A way is what is changed, in words for the warning in the log (of the first one not shown), and what computes the
    result. Raises the last way's RuntimeError when none fits.
    """
    fault: BaseException | None = None
    for change, compute in ways:
        if fault is not None:
            logger.warning(f"GPU memory is full: going on {change}")
        try:
            return compute()
        except RuntimeError as error:
            if not is_gpu_memory_error(error):
                raise
            # The frames of the traceback would keep the tensors that filled the memory.
            fault = error.with_traceback(None)
        torch.cuda.empty_cache()
    raise fault if fault is not None else ValueError("No way to compute the result was given.")


@contextmanager
def on_processor(network: Any) -> Iterator[None]:
    """Move a network to the CPU and, at the end, back; what is no module stays where it is."""
    if not isinstance(network, torch.nn.Module):
        yield
        return
    # Taken before the move, which changes the device of the parameter itself.
    before = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    network.to("cpu")
    try:
        yield
    finally:
        network.to(before)
