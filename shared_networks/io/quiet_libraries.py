"""Keep what C libraries print away from the terminal: their errors come as exceptions, and are reported in one line."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_state = {"inside": 0, "kept": -1}


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """While inside, what is written to file descriptor 2 of the process goes nowhere.

    GDCM's JPEG decoder and libtiff print there, a line for each slice. Threads may be inside at the same time: the
    first one in turns it off, the last one out on.
    """
    with _lock:
        _state["inside"] += 1
        if _state["inside"] == 1:
            _state["kept"] = _silence()
    try:
        yield
    finally:
        with _lock:
            _state["inside"] -= 1
            if not _state["inside"] and _state["kept"] >= 0:
                os.dup2(_state["kept"], 2)
                os.close(_state["kept"])


def _silence() -> int:
    """A copy of descriptor 2, which points nowhere from now on; -1 where the process has none."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        return -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return kept
