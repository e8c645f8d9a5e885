"""A file is whole or not there."""

import pytest

from shared_networks.utils import atomic_path, keep_freed_memory
from shared_networks.utils.atomic_folder import atomic_folder


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "picture.nii.gz"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_path(path) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["picture.nii.gz"]


def test_a_success_replaces_the_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o400


def test_a_folder_takes_the_place_of_the_old_one_only_when_it_is_whole(tmp_path):
    path = tmp_path / "series"
    path.mkdir()
    (path / "old").write_text("old")
    with pytest.raises(RuntimeError, match="stop"), atomic_folder(path) as temporary:
        (temporary / "new").write_text("half")
        raise RuntimeError("stop")
    assert [file.name for file in tmp_path.rglob("*")] == ["series", "old"]
    with atomic_folder(path) as temporary:
        (temporary / "new").write_text("new")
        assert (path / "old").exists()
    assert [file.name for file in tmp_path.rglob("*")] == ["series", "new"]


def test_memory_is_kept_only_where_the_c_library_can(monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    assert keep_freed_memory() is False
