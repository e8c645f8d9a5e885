"""The machine that a benchmark ran on, and the time and the memory that it took."""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable

import torch


def peak_memory_of_process(device: torch.device) -> int:
    """Bytes that this process has held at most: GPU memory for a CUDA device, else resident memory (0 on Windows, which
    does not say).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def hardware(device: torch.device | str, threads: int = 0) -> str:
    """The device in words: the GPU's name, or the CPU's architecture, instruction set and threads (0: those of this
    process).
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} CPU ({capability}), {threads or torch.get_num_threads()} of {os.cpu_count()} threads"


def synchronise(device: torch.device | str) -> None:
    """Wait until the device has done everything."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def seconds_in_turns(calls: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, float]:
    """Median time of each call; the calls take turns, and the first turn is not counted."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            synchronise(device)
            start = time.perf_counter()
            call()
            synchronise(device)
            if turn:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
