"""Files and folders appear when they are complete."""

import multiprocessing
import os
import sys
import time
from pathlib import Path

import pytest

from shared_networks.utils import atomic_path
from shared_networks.utils.atomic import atomic_files, atomic_folder, remove_abandoned
from shared_networks.utils.folder_lock import folder_lock

needs_locks = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked on Windows")


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
        made = temporary.stat().st_ino
        assert path.read_text() == "old"
    assert path.read_text() == "new" and path.stat().st_ino == made  # renamed, not written once more
    assert path.stat().st_mode & 0o400


def write_group(folder, text, names=("a", "b", "report")):
    with atomic_files(folder, names) as paths:
        for path in paths:
            path.write_text(text)


@pytest.mark.parametrize("call", ["fsync", "chmod"])
def test_of_several_files_none_appears_when_one_fails(tmp_path, monkeypatch, call):
    folder = tmp_path / "case"
    write_group(folder, "old")
    calls = []

    def fail_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync" if call == "fsync" else "pathlib.Path.chmod", fail_at_the_second)
    for place in (folder, tmp_path / "new"):
        calls.clear()
        with pytest.raises(OSError, match="No space"):
            write_group(place, "new")
    assert {path.name: path.read_text() for path in folder.iterdir()} == dict.fromkeys(("a", "b", "report"), "old")
    assert not (tmp_path / "new").exists()


def test_the_last_file_is_never_beside_files_of_another_run(tmp_path, monkeypatch):
    write_group(tmp_path, "old")
    seen, replace = [], Path.replace

    def look(path, target):
        replace(path, target)
        seen.append({file.name: file.read_text() for file in tmp_path.glob("[!.]*")})

    monkeypatch.setattr(Path, "replace", look)
    write_group(tmp_path, "new")
    assert seen[:2] == [{"a": "new", "b": "old"}, {"a": "new", "b": "new"}]
    assert seen[2] == dict.fromkeys(("a", "b", "report"), "new")


def write_often(folder, text):
    for _ in range(100):
        write_group(folder, text)


@needs_locks
def test_two_processes_do_not_mix_their_files(tmp_path):
    """Each writes its own letter; whenever the report is there and stays, all files are of one letter."""
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_often, args=(tmp_path, text)) for text in "xy"]
    for writer in writers:
        writer.start()
    mixed, looks = [], 0
    while any(writer.is_alive() for writer in writers):
        with folder_lock(tmp_path):
            if (tmp_path / "report").is_file():
                looks += 1
                texts = {(tmp_path / name).read_text() for name in ("a", "b", "report")}
                mixed += [texts] if len(texts) > 1 else []
        time.sleep(0.001)
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert mixed == [] and looks > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "report"]


def test_files_of_killed_processes_go_after_an_hour(tmp_path):
    for name, age in ((".writing-old.pt", 3700), (".writing-new.pt", 60), ("other", 9999)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    for name, age in ((".writing-a", 3700), (".writing-b", 60)):
        (tmp_path / name / "new").mkdir(parents=True)
        (tmp_path / name / "new" / "1.dcm").write_text("")
        for path in (tmp_path / name / "new" / "1.dcm", tmp_path / name / "new", tmp_path / name):
            os.utime(path, (time.time() - (age if path.is_file() else 3700),) * 2)
    (tmp_path / ".writing-link").symlink_to(tmp_path / "other")
    remove_abandoned(tmp_path)
    left = [".writing-b", ".writing-link", ".writing-new.pt", "other"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_a_new_folder_removes_those_of_killed_processes(tmp_path):
    old = tmp_path / ".writing-old"
    old.mkdir()
    os.utime(old, (0, 0))
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "1.dcm").write_text("")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def hold(folder, told):
    with folder_lock(folder) as held:
        told.put(held)
        time.sleep(60)


def start_holding(context, folder):
    """A process that holds the lock of a folder by now.

    Each has a queue of its own: one that is killed may take the lock of its queue with it.
    """
    told = context.Queue()
    process = context.Process(target=hold, args=(folder, told))
    process.start()
    assert told.get(timeout=60) is True
    return process


@needs_locks
def test_a_lock_is_held_by_one_process_and_ends_with_it(tmp_path):
    context = multiprocessing.get_context("fork")
    other = start_holding(context, tmp_path)
    with folder_lock(tmp_path, wait=False) as held:
        assert held is False
    other.kill()
    other.join()
    with folder_lock(tmp_path, wait=False) as held:
        assert held is True
        # A worker that is forked now does not keep it.
        worker = start_holding(context, tmp_path / "..")
    with folder_lock(tmp_path, wait=False) as held:
        assert held is True
    worker.kill()
    worker.join()


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
