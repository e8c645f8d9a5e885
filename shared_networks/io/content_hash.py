"""SHA-256 of what a data list names: of files, folders and series, wherever they lie."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared_networks.io.dicom_files import split_choice
from shared_networks.utils.hashing import file_hash


def files_hash(paths: Sequence[str | Path]) -> str:
    """SHA-256 of the contents of files in their order; a folder counts with the names and contents of its files.

    Files in the folders below count too, with their relative names, and of a path with a choice (:func:`split_choice`)
    the choice. Raises OSError when one cannot be read.
    """
    total = hashlib.sha256()
    for path, choice in map(split_choice, paths):
        members = sorted(member for member in path.rglob("*") if member.is_file()) if path.is_dir() else [path]
        for member in members:
            name = member.relative_to(path).as_posix() if path.is_dir() else ""
            total.update(json.dumps([name, file_hash(member)]).encode())
        total.update(f"{choice}\n".encode())
    return total.hexdigest()


def items_hash(items: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of a data list: of the contents of the files that it names, wherever they are, and of its other entries.

    Values are paths of files or folders, lists of them, arrays, or what JSON can hold. Raises OSError when a file
    cannot be read.
    """
    total = hashlib.sha256()
    for item in items:
        total.update(json.dumps({key: _content(value) for key, value in item.items()}, sort_keys=True).encode())
    return total.hexdigest()


def _content(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, hashlib.sha256(np.ascontiguousarray(value)).hexdigest()]
    if isinstance(value, list | tuple):
        return [_content(part) for part in value]
    is_path = isinstance(value, str | Path) and bool(str(value)) and split_choice(value)[0].exists()
    return files_hash([value]) if is_path else str(value)
