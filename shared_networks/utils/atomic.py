"""Files that are either whole or not there."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["atomic_files", "atomic_path"]


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success flush it to the disk and rename it, on failure remove it.

    The temporary name keeps all suffixes, because image writers choose the format by them.

    Args:
        path: the file to make; its folder must exist.
    """
    path = Path(path)
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".gz") else path.suffix
    handle, name = tempfile.mkstemp(prefix=".writing-", suffix=suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes private files; give the result what an ordinary open() would have given.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_files(folder: str | Path, names: Sequence[str]) -> Iterator[list[Path]]:
    """:func:`atomic_path` for files that must appear together or not at all, in a folder that is made when missing.

    Args:
        folder: where they go; removed again when it was made here and the files could not be written.
        names: their names; temporary paths come in the same order.
    """
    folder = Path(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as files:
            yield [files.enter_context(atomic_path(folder / name)) for name in names]
    except BaseException:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise
