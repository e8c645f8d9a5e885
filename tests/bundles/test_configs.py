"""What holds for the configs of both bundles."""

import json
from pathlib import Path
from pydoc import locate

import pytest
from monai.bundle import ComponentLocator

from tests.bundles.bundle_runs import walk

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted(ROOT.glob("*_bundle/configs/*.json"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_config_names_what_exists(path):
    locator = ComponentLocator()
    for part in walk(json.loads(path.read_text(encoding="utf-8"))):
        if isinstance(part, dict) and "_target_" in part:
            target = part["_target_"]
            if "." in target:
                assert callable(locate(target)), target
            else:
                assert locator.get_component_module_name(target), target
            if target.startswith("shared_networks."):
                # The code's version is checked on the way to the network, and needs the paths itself.
                assert part["_requires_"] in ("@import_paths", "@code_version"), target
        elif isinstance(part, str):
            assert not part.startswith(("/", "~")), part
