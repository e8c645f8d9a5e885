"""Memory: let the C library keep what is freed, and tell errors that mean "too little" from others."""

import ctypes
import sys
from typing import Any

import torch

# Parameters of glibc's mallopt(3).
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
# "CUDA error: out of memory", "HIP out of memory", "MPS backend out of memory"; libraries.
_GPU_TEXTS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
_CPU_TEXTS = ("DefaultCPUAllocator",)


def is_gpu_memory_error(error: BaseException) -> bool:
    """Whether an error says that a GPU has too little memory."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _GPU_TEXTS)


def is_memory_error(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that there is too little memory of any kind."""
    while error is not None:
        is_cpu = isinstance(error, RuntimeError) and any(text in str(error) for text in _CPU_TEXTS)
        if isinstance(error, MemoryError) or is_cpu or is_gpu_memory_error(error):
            return True
        error = error.__cause__
    return False


def keep_freed_memory(pad_bytes: int = 64 * 2**20) -> bool:
    """Let glibc reuse freed memory instead of mapping fresh pages for every large tensor.

    By default every tensor above 32 MB at most is mapped anew and its pages are faulted in one by one at first use.
    Training on a CPU allocates the same sizes in every iteration; on a virtual machine the faults were measured to
    take most of the time. Peak memory stays the same; freed memory stays with the process.

    Args:
        pad_bytes: how much the heap grows by at least.

    Returns:
        Whether it was done: only glibc (Linux) has the call; elsewhere nothing happens.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return False
    return all(mallopt(*pair) for pair in ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, pad_bytes)))


def return_freed_memory() -> None:
    """Give what is freed back to the system after all, where glibc keeps it (see :func:`keep_freed_memory`).

    Volumes of ever other sizes fit badly into the gaps that those before left: without this a long batch takes more
    memory with every case.
    """
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
