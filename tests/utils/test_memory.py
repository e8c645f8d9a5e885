"""What the C library keeps, and gives back."""

import subprocess
import sys

import pytest

from shared_networks.utils import keep_freed_memory

# In a process of its own, since the settings are the process's.
SCRIPT = """
import os
import torch
from ignite.engine import Engine
from shared_networks.handlers import ReturnMemory
from shared_networks.utils import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

assert keep_freed_memory()
engine = Engine(lambda engine, batch: None)
ReturnMemory().attach(engine)
before = resident()
volumes = [torch.ones(2**22) for _ in range(16)]
last = volumes.pop()
del volumes
kept = resident() - before
engine.run([0])
print(kept, resident() - before, float(last.sum()))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_freed_memory_is_kept_until_the_next_case():
    """16 volumes of 16 MiB, of which the last one, and so the end of the heap, stays."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    kept, after, total = map(float, done.stdout.split())
    assert kept > 240 and after < 40 and total == 2**22


def test_memory_is_kept_only_where_the_c_library_can(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    assert keep_freed_memory() is False
