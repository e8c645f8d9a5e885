"""Peak memory as the operating system or the GPU counts it."""

import sys

import torch

__all__ = ["peak_memory_of_process"]


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
