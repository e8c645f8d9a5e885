"""What holds for the configs of both bundles."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from pydoc import locate

import pytest
from monai.bundle import ComponentLocator, ConfigParser

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


ENTRIES = [path for path in CONFIGS if "import_paths" in json.loads(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_a_bundle_root_without_the_code_ends_the_command_with_one_line(path, tmp_path, monkeypatch):
    """The first thing of a config that is evaluated: nothing of shared_networks could say it."""

    parser = ConfigParser()
    parser.read_config(str(path))
    parser.update({"bundle_root": str(tmp_path / "b")})
    finders = list(sys.meta_path)

    def found(meta_path):
        monkeypatch.setattr(sys, "meta_path", meta_path)
        parser.parse(True)
        added = parser.get_parsed_content("import_paths")
        return [entry in sys.path for entry in (str(tmp_path / "b"), str(tmp_path))] + [added]

    class Nothing:
        @staticmethod
        def find_spec(name, where):
            return None

    monkeypatch.setattr(sys, "path", list(sys.path))
    # Whoever uses the config as a library gets the error of the import itself.
    assert found([Nothing]) == [True, True, [None, None]]
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec("monai.bundle.__main__", None))
    assert found(finders) == [True, True, []]
    with pytest.raises(SystemExit) as end:
        found([Nothing])
    assert str(end.value).startswith("error: shared_networks is not found: give --bundle_root FOLDER")
