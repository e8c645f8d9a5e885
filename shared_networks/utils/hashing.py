"""SHA-256 of files, of any size, and of what decides a result in a config."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from monai.bundle import ConfigParser, ReferenceResolver

from shared_networks.utils.call_stack import calling_frames
from shared_networks.utils.config_keys import look_up, strings_of
from shared_networks.utils.series_choice import split_choice

__all__ = ["collect_settings", "files_hash", "items_hash", "settings_hash", "stream_hash", "weights_entry"]

_PIECE = 2**20


def files_hash(paths: Sequence[str | Path]) -> str:
    """SHA-256 of the contents of files in their order; a folder counts with the names and contents of its files.

    Files in the folders below count too, with their relative names. Of a folder's path with a choice
    (:func:`split_choice`) the choice counts too.

    Raises:
        OSError: when one cannot be read.
    """
    total = hashlib.sha256()
    for path, choice in map(split_choice, paths):
        members = sorted(member for member in path.rglob("*") if member.is_file()) if path.is_dir() else [path]
        for member in members:
            name = member.relative_to(path).as_posix() if path.is_dir() else ""
            total.update(json.dumps([name, _file_hash(member)]).encode())
        total.update(f"{choice}\n".encode())
    return total.hexdigest()


def items_hash(items: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of a data list: of the contents of the files that it names, wherever they are, and of its other entries.

    Args:
        items: values are paths of files or folders, lists of them, arrays, or what JSON can hold.

    Raises:
        OSError: when a file cannot be read.
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


def weights_entry(checkpoint: str | Path) -> dict[str, str]:
    """``{"file": name, "sha256": ...}`` of a checkpoint for a report; {} for '' or a file that is not there."""
    path = Path(checkpoint)
    if not str(checkpoint) or not path.is_file():
        return {}
    facts = path.stat()
    return {"file": path.name, "sha256": _known_hash(path, facts.st_mtime_ns, facts.st_size)}


def settings_hash(parts: Sequence[str], without: Sequence[str] = ()) -> str:
    """SHA-256 of parts of the config that is being resolved, overrides included, and of all that they refer to.

    A config uses it as a component (MONAI hands components nothing of the config, so it is found on the call stack)::

        {"_target_": "shared_networks.utils.settings_hash", "parts": ["network_def", "inferer"], "without": ["device"]}

    Args:
        parts: ids.
        without: ids of what does not change the result (places, what runs at a time); what only they refer to is left
            out too.

    Returns:
        Hexadecimal digits; '' when no config is being resolved.
    """
    found = collect_settings(parts, without)
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest() if found else ""


def collect_settings(parts: Sequence[str], without: Sequence[str] = ()) -> dict[str, Any]:
    """Parts of the config that is being resolved, and all that they refer to, as they were written.

    Args:
        parts: ids; those that the config does not have are passed over.
        without: top-level ids that are left out, with what only they refer to.

    Returns:
        Id -> content; {} when no config is being resolved.
    """
    frame = calling_frames().get(ConfigParser.get_parsed_content.__code__)
    if frame is None:
        return {}
    config = frame.f_locals["self"].get()
    found: dict[str, Any] = {}
    waiting = list(parts)
    while waiting:
        key = waiting.pop()
        names = ReferenceResolver.split_id(key)
        if key in found or names[0] in without:
            continue
        found[key] = look_up(config, names)
        for text in strings_of(found[key]):
            waiting += ReferenceResolver.match_refs_pattern(text)
    return found


def stream_hash(stream: IO[bytes]) -> str:
    """SHA-256 of what is left in a stream, which is read in pieces."""
    total = hashlib.sha256()
    while piece := stream.read(_PIECE):
        total.update(piece)
    return total.hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return stream_hash(stream)


@lru_cache(maxsize=8)
def _known_hash(path: Path, modified: int, size: int) -> str:
    return _file_hash(path)
