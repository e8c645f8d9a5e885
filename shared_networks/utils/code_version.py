"""Two bundles in one process share one ``shared_networks``: refuse the one that was built with another version."""

import json
from pathlib import Path

import shared_networks
from shared_networks.errors import InputError


def check_code_version(bundle_root: str | Path) -> str:
    """Compare the version of a bundle with that of the ``shared_networks`` that was imported, which is returned.

    Bundle and package are released together under one version. A server that holds two bundles imports the copy of the
    first one for both, so that the second would run code that its weights were not made with. Without a
    ``configs/metadata.json`` there is nothing to compare; raises InputError when they differ.
    """
    path = Path(bundle_root) / "configs" / "metadata.json"
    version = shared_networks.__version__
    if path.is_file():
        wanted = json.loads(path.read_text(encoding="utf-8")).get("version")
        if wanted != version:
            raise InputError(
                f"{path.parents[1]}: version {wanted}, but shared_networks {version} is loaded from "
                f"{Path(shared_networks.__file__).parent}: use bundles of one version, or a process for each."
            )
    return version
