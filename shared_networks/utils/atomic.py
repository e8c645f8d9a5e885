"""Files and folders that are written atomically."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from shared_networks.utils.folder_lock import folder_lock

_PREFIX = ".writing-"
"""Of temporary files and folders."""
_ABANDONED_SECONDS = 3600.0
"""No file takes so long to write: an older temporary one is what a killed process left."""


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success flush it to the disk and rename it, on failure remove it.

    The temporary name keeps all suffixes, because image writers choose the format by them. The folder must exist.
    """
    path = Path(path)
    temporary = _make_temporary(path)
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_files(folder: str | Path, names: Sequence[str]) -> Iterator[list[Path]]:
    """:func:`atomic_path` for files that appear together, in a folder that is made when missing.

    The last one says that the others are complete: an old one goes before the first rename, the new one comes with the
    last, so that a process killed in between never leaves it beside files of another run. Two processes that write the
    same files rename one after the other, see :func:`folder_lock`.

    Args:
        folder: where they go; removed again when it was made here and the files could not be written.
        names: their names; temporary paths come in the same order.
    """
    folder = Path(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    remove_abandoned(folder)
    temporaries: list[Path] = []
    try:
        for name in names:
            temporaries.append(_make_temporary(folder / name))
        yield temporaries
        for temporary in temporaries:
            _flush(temporary)
        with folder_lock(folder):
            (folder / names[-1]).unlink(missing_ok=True)
            for temporary, name in zip(temporaries, names, strict=True):
                temporary.replace(folder / name)
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        if is_new:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write UTF-8; what is no Unicode, as in some names of files, is written as backslash and number."""
    path.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def atomic_text(path: str | Path, text: str) -> None:
    """:func:`write_text`, atomically."""
    with atomic_path(path) as temporary:
        write_text(temporary, text)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; on success it takes that name, an old one goes; on failure it goes.

    Args:
        path: the folder to make; its parent must exist.
    """
    path = Path(path)
    remove_abandoned(path.parent)
    temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=path.parent))
    try:
        # mkdtemp makes private folders; a folder inside is made as any other.
        made = temporary / "new"
        made.mkdir()
        yield made
        if path.exists():
            path.replace(temporary / "old")
        made.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_abandoned(folder: str | Path) -> None:
    """Remove the temporary files and folders that a killed process left in a folder more than an hour ago."""
    for path in Path(folder).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another process was faster
            if time.time() - _newest(path) > _ABANDONED_SECONDS:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _newest(path: Path) -> float:
    """Time of the last change of a file, or of anything in a folder: one that is written to is not abandoned."""
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    return max(member.lstat().st_mtime for member in (path, *inside))


def _make_temporary(path: Path) -> Path:
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix=suffix, dir=path.parent)
    os.close(handle)
    return Path(name)


def _flush(temporary: Path) -> None:
    with temporary.open("rb+") as stream:
        os.fsync(stream.fileno())
    # mkstemp makes private files; give the result what an ordinary open() would have given.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
