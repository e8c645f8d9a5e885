"""The machine that a benchmark ran on, and the peak memory that it took."""

import os
import platform
import sys

import torch

__all__ = ["hardware", "peak_memory_of_process"]


def peak_memory_of_process(device: torch.device) -> int:
    """Bytes that this process has held at most: GPU memory for a CUDA device, otherwise resident memory.

    Args:
        device: where the work was done.

    Returns:
        Peak in bytes; 0 on systems that do not tell (Windows).
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def hardware(device: torch.device | str, threads: int | None = None) -> str:
    """The device in words: the GPU's name, or the CPU's architecture, instruction set and threads.

    Args:
        device: where the work was done.
        threads: of a CPU; those of this process by default.
    """
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} CPU ({capability}), {threads or torch.get_num_threads()} of {os.cpu_count()} threads"
