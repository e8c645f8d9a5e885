"""Run as a program by the tests: infer with several unpacked bundles in one process, one after the other.

``python together.py JSON``, a list of ``[bundle folder, overrides]``, in an empty folder.
"""

import json
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
# An editable installation would supply the repository's package: this is about the one in the zips.
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in str(finder)]
sys.path[:] = [path for path in sys.path if path and Path(path).resolve() not in (REPOSITORY, Path(__file__).parent)]

if __name__ == "__main__":
    from monai.bundle import run

    for folder, overrides in json.loads(sys.argv[1]):
        config = str(Path(folder, "configs", "inference.json"))
        run("inferring", config_file=config, bundle_root=folder, logging_file=False, **overrides)
