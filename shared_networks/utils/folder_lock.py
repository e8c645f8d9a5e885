"""One process at a time in a folder, without a file that a killed process would leave."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_descriptors: set[int] = set()


@contextmanager
def folder_lock(folder: str | Path, wait: bool = True) -> Iterator[bool]:
    """Hold the system's advisory lock of a folder that exists; it ends with the process, also when that is killed.

    Where there is none (Windows, some network file systems) nothing is locked, and the answer is yes. Waits until it is
    free, or with ``wait=False`` yields at once whether this process holds it.
    """
    if fcntl is None:
        yield True
        return
    descriptor = os.open(folder, os.O_RDONLY)
    _descriptors.add(descriptor)
    try:
        yield _lock(descriptor, wait)
    finally:
        _descriptors.discard(descriptor)
        os.close(descriptor)


def _lock(descriptor: int, wait: bool) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:  # the file system has no locks
        return True
    return True


def _forget() -> None:
    """A worker that was forked does not keep the lock of a process that has ended."""
    for descriptor in _descriptors:
        os.close(descriptor)
    _descriptors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
