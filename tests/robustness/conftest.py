"""Inputs as people have them: ``FUSION_CASES_DIR``, or the folder ``cases`` beside ``FUSION_DATA_DIR``."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def cases_dir():
    """The folder; tests that need it are skipped without it."""
    data = os.environ.get("FUSION_DATA_DIR", "")
    folder = Path(os.environ.get("FUSION_CASES_DIR") or (Path(data).parent / "cases" if data else "none"))
    if not (folder / "base").is_dir():
        pytest.skip("neither FUSION_CASES_DIR nor a folder cases beside FUSION_DATA_DIR")
    return folder
