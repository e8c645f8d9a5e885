"""A folder that is either whole or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared_networks.utils.atomic import PREFIX, remove_abandoned

__all__ = ["atomic_folder"]


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; on success it takes that name, an old one goes; on failure it goes.

    Args:
        path: the folder to make; its parent must exist.
    """
    path = Path(path)
    remove_abandoned(path.parent)
    temporary = Path(tempfile.mkdtemp(prefix=PREFIX, dir=path.parent))
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
