"""What the data lists of both bundles have in common: sections, reading, unique names, and being read late."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared_networks.errors import InputError
from shared_networks.io.file_names import is_path

__all__ = [
    "SECTIONS",
    "LazyCases",
    "read_datalist",
    "read_text",
    "refuse_path_names",
    "refuse_taken_names",
    "refused_item",
]

SECTIONS = {"training": "training", "train": "training", "validation": "validation", "val": "validation"}
SECTIONS |= {"valid": "validation", "test": "test", "testing": "test", "unlabelled_training": "unlabelled_training"}
"""Names a section may have in a file or folder, and the one it goes by here."""


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 or UTF-32 as Windows writes them, with or without a byte order mark.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is in another encoding.
    """
    content = path.read_bytes()
    return content.decode(json.detect_encoding(content))


def read_datalist(path: Path) -> dict[str, list[Any]]:
    """Read a JSON data list.

    Args:
        path: file that holds an object whose ``training``, ``validation``, ``test`` ... are lists, or one such list.

    Returns:
        Section (a value of :data:`SECTIONS`, whatever capitals the file has; '' for a file that is one list) -> its
        items, unchecked; other keys of the file are passed over.

    Raises:
        InputError: when the file is missing or is no such JSON.
    """
    if not path.is_file():
        raise InputError(f"{path}: not found; datalist must be a JSON file.")
    try:
        content = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error}); correct it, or save it in UTF-8.") from error
    if isinstance(content, list):
        return {"": content}
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object with lists training, validation or test.")
    sections: dict[str, list[Any]] = {}
    for name, items in content.items():
        section = SECTIONS.get(name.strip().lower())
        if section and isinstance(items, list):
            sections.setdefault(section, []).extend(items)
    return sections


def refused_item(number: int, reason: str, item: Any = None) -> dict[str, Any]:
    """What stands for an entry of a list that names no images: a case of its own, so that the others are done.

    Args:
        number: of the entry, from 1.
        reason: one line.
        item: the entry; its ``subject``, ``case`` or ``name`` names the case where it has one.

    Returns:
        ``image`` (two empty paths), ``subject`` and ``refused``.
    """
    names = [item.get(key) for key in ("subject", "case", "name")] if isinstance(item, Mapping) else []
    name = next((name for name in names if isinstance(name, str) and name), f"item_{number}")
    return {"image": ["", ""], "subject": name, "refused": reason}


def refuse_path_names(item: dict[str, Any], source: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """An item, with ``refused`` set when a name that a data list gives it could lead to another folder.

    Args:
        item: what is returned; one that is refused already stays as it is.
        source: the entry of the data list.
        keys: entries that go into the output's name.
    """
    for key in keys:
        if "refused" not in item and is_path(source.get(key) or ""):
            fact = f"{key} {str(source[key])[:60]!r} is a path"
            image = item["image"][0] or item["image"][1]
            return item | {"refused": f"{image}: {fact}; expected a plain name: correct the data list."}
    return item


def refuse_taken_names(items: Sequence[dict[str, Any]]) -> None:
    """Set ``refused`` on every item whose ``case``, the output's name, is taken (in any mix of capitals).

    Args:
        items: with ``case`` and ``image`` (two paths); items that are refused already take no name.
    """
    taken: dict[str, str] = {}
    for item in items:
        if "refused" in item:
            continue
        case, source = item["case"], item["image"][0] or item["image"][1]
        if case.lower() in taken:
            item["refused"] = f"{source}: its output name {case} is that of {taken[case.lower()]}; rename one of them."
        else:
            taken[case.lower()] = source


class LazyCases(ABC, Sequence):
    """A list of cases that is made when it is first used, so that a config can be parsed before anything is given."""

    _items: list[dict[str, Any]] | None = None

    @abstractmethod
    def _resolve(self) -> list[dict[str, Any]]:
        """Make the list."""

    @property
    def items(self) -> list[dict[str, Any]]:
        """The list itself."""
        if self._items is None:
            self._items = self._resolve()
        return self._items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.items)
