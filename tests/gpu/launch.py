"""``python -m tests.gpu.launch MODULE ARGUMENTS``: ``python -m MODULE ARGUMENTS`` on the pretended GPU."""

import runpy
import sys

from tests.gpu.pretended_cuda import pretended_cuda

if __name__ == "__main__":
    del sys.argv[0]
    with pretended_cuda():
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
