"""A bundle that was made with another version of the package."""

import json

import pytest

import shared_networks
from shared_networks.errors import InputError
from shared_networks.utils import check_code_version


def test_another_version_is_refused_and_none_is_not_compared(tmp_path):
    assert check_code_version(tmp_path) == shared_networks.__version__
    (tmp_path / "configs").mkdir()
    metadata = tmp_path / "configs" / "metadata.json"
    metadata.write_text(json.dumps({"version": shared_networks.__version__}))
    assert check_code_version(str(tmp_path)) == shared_networks.__version__
    metadata.write_text(json.dumps({"version": "9.9.9"}))
    with pytest.raises(InputError, match=rf"{tmp_path}: version 9\.9\.9, but shared_networks .* is loaded from "):
        check_code_version(tmp_path)
