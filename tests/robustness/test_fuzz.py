"""The readers on damaged headers and bytes: a result or our own error, in bounded memory, and they come back."""

import json
import os
import subprocess
import sys

import pytest

from tests.robustness import fuzz_readers

MOST_MEMORY = 512  # MiB; the files have some hundred bytes, a picture may claim 2**26 pixels


def fuzz(folder, times, seed, limit):
    """What :mod:`tests.robustness.fuzz_readers` prints; a process of its own, because a crash would end this one."""
    command = [sys.executable, fuzz_readers.__file__, str(times), str(seed), str(folder)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    # The limit of time is far above what is needed: it ends a hang.
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=limit, env=environment)
    assert done.returncode == 0, f"files in {folder}: {done.stderr[-3000:]}"
    return json.loads(done.stdout.splitlines()[-1])


def check(result, times):
    assert result.keys() == fuzz_readers.COUNTS.keys()
    for kind, count in fuzz_readers.COUNTS.items():
        assert result[kind]["read"] + result[kind]["refused"] == times * count
        # Mutations that nothing notices, or that nothing survives, would test nothing.
        assert min(result[kind]["read"], result[kind]["refused"]) > 0.01 * times * count, kind
        assert result[kind]["memory"] < MOST_MEMORY, kind


def test_two_thousand_mutants_are_read_or_refused(tmp_path):
    assert sum(fuzz_readers.COUNTS.values()) == 2_000
    check(fuzz(tmp_path, 1, 0, 900), 1)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1, 6))
def test_many_more_mutants(tmp_path, seed):
    check(fuzz(tmp_path, 20, seed, 3600), 20)
