"""What a device reaches: time of a call, memory, and its share of the matrix rate and bandwidth measured beside it."""

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import synchronise
from shared_networks.utils import set_backends

PRECISIONS = {"float32": None, "tf32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}
LONGEST = 15.0
"""Seconds after which a call is not repeated again."""


def precisions_of(device: str) -> list[str]:
    """Precisions that are worth measuring: a CPU has no TF32, and its float16 is 300 times slower than float32."""
    return [name for name in PRECISIONS if device == "cuda" or name not in ("tf32", "float16")]


def median_seconds(call: Callable[[], Any], device: str, repeats: int = 7) -> float:
    """Median time of a call after two that warm up; of fewer calls, or the first, where they are long."""
    times: list[float] = []
    while len(times) < repeats + 2 and sum(times) < LONGEST:
        synchronise(device)
        started = time.perf_counter()
        call()
        synchronise(device)
        times.append(time.perf_counter() - started)
    return statistics.median_high(times[2:] or times[-1:])


def peak_gib(device: str) -> float | None:
    """Peak of the GPU's memory since it was reset; None on a CPU."""
    return round(torch.cuda.max_memory_allocated() / 2**30, 2) if device == "cuda" else None


def ceilings(device: str, side: int) -> dict[str, float]:
    """Measured rate of matrix products in TFLOP/s by precision, and of copies (bytes read and written) in GB/s."""
    found = {}
    for name in precisions_of(device):
        dtype = PRECISIONS[name]
        set_backends(tf32=name == "tf32", cudnn_benchmark=True, deterministic=False)
        a, b = (torch.randn(side, side, device=device, dtype=dtype or torch.float32) for _ in range(2))
        found[f"{name}_tflops"] = 2 * side**3 / median_seconds(lambda a=a, b=b: a @ b, device) / 1e12
    block = torch.randn(side * side * 4, device=device)
    target = torch.empty_like(block)
    found["copy_gb_per_s"] = 2 * block.numel() * 4 / median_seconds(lambda: target.copy_(block), device) / 1e9
    return {key: float(f"{value:.4g}") for key, value in found.items()}


class Traffic(TorchDispatchMode):
    """Counts in ``bytes`` what operations read and write one after the other; views move nothing.

    A compiler that fuses operations, or a cache, moves less: a share of the bandwidth above 1 is one of those.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def inference(
    name: str,
    call: Callable[[], torch.Tensor],
    device: str,
    rates: Mapping[str, float],
    precision: str,
    count: int = 1,
    eager: Callable[[], torch.Tensor] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Time a call on ``count`` samples in a precision, and give its shares of what :func:`ceilings` measured.

    Operations and bytes are those of ``eager`` (the call itself where it is None), which does the same uncompiled.
    """
    dtype = PRECISIONS[precision]
    set_backends(tf32=precision == "tf32", cudnn_benchmark=True, deterministic=False)
    with torch.no_grad(), torch.autocast(device, dtype=dtype) if dtype else nullcontext():
        with FlopCounterMode(display=False) as operations, Traffic() as traffic:
            (eager or call)()
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        seconds = median_seconds(call, device, 5)
    reached, moved = operations.get_total_flops() / seconds / 1e12, traffic.bytes / seconds / 1e9
    return {
        "what": name,
        "precision": precision,
        **facts,
        "ms": round(1000 * seconds, 3),
        "samples_per_s": round(count / seconds, 2),
        "tflops": round(reached, 3),
        "share_of_matrix_rate": round(reached / rates[f"{precision}_tflops"], 4) if rates else None,
        "gb_per_s": round(moved, 2),
        "share_of_bandwidth": round(moved / rates["copy_gb_per_s"], 4) if rates else None,
        "peak_gib": peak_gib(device),
    }
