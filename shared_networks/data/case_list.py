"""What the data lists of both bundles have in common: sections, reading, unique names, and being read late."""

import inspect
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from shared_networks.errors import CaseStatus, InputError
from shared_networks.io.dicom_files import split_choice
from shared_networks.io.file_names import is_path

SECTIONS = {"training": "training", "train": "training", "validation": "validation", "val": "validation"}
SECTIONS |= {"valid": "validation", "test": "test", "testing": "test", "unlabelled_training": "unlabelled_training"}
"""Names a section may have in a file or folder, and the one it goes by here."""

# What JSON makes of a separator that was not doubled.
_ESCAPED = {ord(mark): f"\\{letter}" for mark, letter in zip("\b\f\n\r\t", "bfnrt", strict=True)}


def read_text(path: Path) -> str:
    """A text file in UTF-8, or in UTF-16 or UTF-32 as Windows writes them, with or without a byte order mark.

    Raises OSError when it cannot be read, ValueError when it is in another encoding.
    """
    content = path.read_bytes()
    return content.decode(json.detect_encoding(content))


def read_datalist(path: Path) -> dict[str, list[Any]]:
    """Read a JSON data list: an object whose ``training``, ``validation``, ``test`` ... are lists, or one such list.

    Returns section (a value of :data:`SECTIONS`, whatever capitals the file has; '' for a file that is one list) -> its
    items, unchecked, with every key in lower case; other keys of the file are passed over. An item that gives two
    values for one key has ``refused``, the reason. Raises InputError when the file is missing or is no such JSON.
    """
    if path.is_dir():
        raise InputError(f"{path}: a folder; give it as dataset_dir, or a JSON file as datalist.")
    if not path.is_file():
        raise InputError(f"{path}: not found; datalist must be a JSON file.")
    try:
        content = json.loads(read_text(path), object_pairs_hook=_Object)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable JSON file ({error}); correct it, or save it in UTF-8.") from error
    if isinstance(content, list):
        return {"": [_in_lower_case(item, path) for item in content]}
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected an object with lists training, validation or test.")
    if content.doubled:
        raise InputError(f"{path}: {content.doubled[0]} stands twice in one object; make one list of the two.")
    sections: dict[str, list[Any]] = {}
    for name, items in content.items():
        section = SECTIONS.get(name.strip().lower())
        if section and isinstance(items, list):
            sections.setdefault(section, []).extend(_in_lower_case(item, path) for item in items)
    if not sections:
        names = ", ".join(json.dumps(name) for name in content)[:100]
        raise InputError(f"{path}: expected lists training, validation or test in it, got {names or 'nothing'}.")
    return sections


class _Object(dict):
    """An object of a JSON file, with the keys that it gives several values: Python keeps the last one of each."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.doubled = _with_several_values(pairs)


def _in_lower_case(item: Any, path: Path) -> Any:
    """An item with its keys in lower case, refused where that, or the file itself, gives a key several values."""
    if not isinstance(item, _Object):
        return item
    doubled = item.doubled or _with_several_values([(key.lower(), value) for key, value in item.items()])
    lower = {key.lower(): value for key, value in item.items() if key.lower() != CaseStatus.REFUSED}
    if doubled:
        lower[CaseStatus.REFUSED] = f"{path}: an item gives {doubled[0]} several values; keep one of them."
    return lower


def _with_several_values(pairs: Sequence[tuple[str, Any]]) -> list[str]:
    """The names, as JSON, that stand more than once and not always with one value."""
    last, counts = dict(pairs), Counter(name for name, _ in pairs)
    return [json.dumps(name) for name, value in pairs if counts[name] > 1 and value != last[name]]


def refused_item(number: int, reason: str, item: Any = None) -> dict[str, Any]:
    """What stands for an entry of a list that names no images: a case of its own, so that the others are done.

    It has ``image`` (two empty paths), ``subject`` and ``refused``, the one-line reason. The entry's ``subject``,
    ``case`` or ``name`` names the case where it has one, else its number, from 1.
    """
    names = [item.get(key) for key in ("subject", "case", "name")] if isinstance(item, Mapping) else []
    name = next((name for name in names if isinstance(name, str) and name), f"item_{number}")
    return {"image": ["", ""], "subject": name, CaseStatus.REFUSED: reason}


def path_in_list(folder: Path, name: str) -> str:
    """The path that an entry of a list in ``folder`` names.

    Where there is nothing of that name, Windows' separators (also one that JSON took for part of a tab), a ``~`` for
    the home folder, and blanks around the name are taken as what they are meant to be.
    """
    meant = name.strip().translate(_ESCAPED)
    forms = [Path(name), Path(meant), Path(meant.replace("\\", "/"))]
    with suppress(RuntimeError):  # no such user
        forms.append(Path(meant).expanduser())
    for form in forms:
        with suppress(OSError, ValueError):  # too long, or with a zero byte: whoever opens it says so
            if split_choice(folder / form)[0].exists():
                return str(folder / form)
    return str(folder / (forms[2] if "\\" in meant else name))


def refuse_path_names(item: dict[str, Any], source: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """An item, with ``refused`` set when a name that a data list gives it could lead to another folder.

    ``keys`` of ``source``, the entry of the data list, go into the output's name. An item that is refused already
    stays.
    """
    for key in keys:
        if CaseStatus.REFUSED not in item and is_path(source.get(key) or ""):
            fact = f"{key} {str(source[key])[:60]!r} is a path"
            image = item["image"][0] or item["image"][1]
            return item | {CaseStatus.REFUSED: f"{image}: {fact}; expected a plain name: correct the data list."}
    return item


def refuse_taken_names(items: Sequence[dict[str, Any]]) -> None:
    """Set ``refused`` on every item whose ``case``, the output's name, is taken (in any mix of capitals).

    Args:
        items: with ``case`` and ``image`` (two paths); items that are refused already take no name.
    """
    taken: dict[str, str] = {}
    for item in items:
        if CaseStatus.REFUSED in item:
            continue
        case, source = item["case"], item["image"][0] or item["image"][1]
        if case.lower() in taken:
            item[CaseStatus.REFUSED] = (
                f"{source}: its output name {case} is that of {taken[case.lower()]}; rename one of them."
            )
        else:
            taken[case.lower()] = source


def number_taken_names(items: Sequence[dict[str, Any]]) -> None:
    """Set ``case`` of every item whose name is taken (in any mix of capitals) to one that is not: ``a``, ``a-2``.

    For lists of which no output is written: an image may stand there several times, to count more or with several
    partners.
    """
    taken: set[str] = set()
    counts: dict[str, int] = {}
    for item in items:
        name = item["case"]
        while item["case"].lower() in taken:
            counts[name.lower()] = counts.get(name.lower(), 1) + 1
            item["case"] = f"{name}-{counts[name.lower()]}"
        taken.add(item["case"].lower())


def one_way(pair: tuple[str, Any, Any], datalist: Any, dataset_dir: Any) -> tuple[str, str, str, str]:
    """The ways in which a user can name images, as text; '' for those that are not given.

    ``pair`` is what the two images are called together, and their paths. Raises InputError when more than one way is
    used.
    """
    name, *given = pair[0], *pair[1:], datalist, dataset_dir
    first, second, datalist, dataset_dir = ("" if value is None else str(value) for value in given)
    used = {name: first or second, "datalist": datalist, "dataset_dir": dataset_dir}
    ways = [way for way, value in used.items() if value]
    if len(ways) > 1:
        raise InputError(f"{', '.join(ways)} were given together: set only one of them.")
    return first, second, datalist, dataset_dir


def section_names(section: str | Sequence[str]) -> list[str]:
    """Sections that were asked for, by the names they go by here, each once."""
    asked = [section] if isinstance(section, str) else section
    return list(dict.fromkeys(SECTIONS.get(name.lower(), name) for name in asked if name))


def chosen_sections(sections: Mapping[str, list[Any]], section: str | Sequence[str]) -> dict[str, list[Any]] | None:
    """The part of the sections (name -> items) that was asked for; items without section ('') belong to every one.

    '' takes the test section when there is one, and everything otherwise. None when none of the sections is there.
    """
    wanted = section_names(section) or (["test"] if "test" in sections else [])
    names = [*wanted, ""] if wanted else list(sections)
    found = {name: sections[name] for name in names if name in sections}
    return found if found or not wanted else None


def folders_of(folder: Path, prefix: str = "") -> list[Path]:
    """Folders in a folder, see :func:`members_of`."""
    return [path for path in members_of(folder) if path.is_dir() and path.name.startswith(prefix)]


def members_of(folder: Path) -> list[Path]:
    """What is in a folder but hidden things, by name; nothing where there is no folder.

    Raises:
        InputError: when it cannot be listed.
    """
    if not folder.is_dir():
        return []
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror}); check its permission.") from error


class LazyCases(Sequence):
    """A list of cases that is made when it is first used, so that a config can be parsed before anything is given.

    A subclass names the function that makes the list, and takes that function's arguments.
    """

    resolve: Callable[..., list[dict[str, Any]]]

    def __init_subclass__(cls) -> None:
        cls.__signature__ = inspect.signature(cls.resolve)  # what arguments a config may give

    def __init__(self, *arguments: Any, **keys: Any) -> None:
        self._arguments = inspect.signature(self.resolve).bind(*arguments, **keys)

    @cached_property
    def items(self) -> list[dict[str, Any]]:
        """The list itself."""
        return self.resolve(*self._arguments.args, **self._arguments.kwargs)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]
