"""SHA-256 of files and streams of any size."""

import errno
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import IO

_PIECE = 2**20


def file_hash(path: Path) -> str:
    """SHA-256 of the content of a file.

    Raises:
        OSError: when it cannot be read, or is a pipe or a device, for which a reader may wait without end.
    """
    if not path.is_file():
        raise OSError(errno.EINVAL, "no file", str(path))
    with path.open("rb") as stream:
        return stream_hash(stream)


def stream_hash(stream: IO[bytes]) -> str:
    """SHA-256 of what is left in a stream, which is read in pieces."""
    total = hashlib.sha256()
    while piece := stream.read(_PIECE):
        total.update(piece)
    return total.hexdigest()


def weights_entry(checkpoint: str | Path) -> dict[str, str]:
    """``{"file": name, "sha256": ...}`` of a checkpoint for a report; {} for '' or a file that is not there."""
    path = Path(checkpoint)
    if not str(checkpoint) or not path.is_file():
        return {}
    facts = path.stat()
    return {"file": path.name, "sha256": _known_hash(path, facts.st_mtime_ns, facts.st_size)}


@lru_cache(maxsize=8)
def _known_hash(path: Path, modified: int, size: int) -> str:
    return file_hash(path)
