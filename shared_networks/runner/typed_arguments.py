"""The values of a command line as the user typed them: what Python Fire and MONAI make of them may be something else.

Fire reads every value as Python where it can: ``2024_06_30`` becomes the number 20240630, ``out,a`` a tuple, and
``run#2`` loses what looks like a comment. MONAI turns ``#`` into ``::`` in every text of a config, because ids may be
written with either.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser, ReferenceResolver

from shared_networks.errors import InputError, repeated
from shared_networks.runner.config_keys import look_up

_EXPRESSION = ("$", "@", "%")
_PATH_NAMES = ("dir", "root", "checkpoint", "datalist", "file", "path")
_SPECIAL_IN_QUOTES = re.compile(r'["$`\\!]')
_QUOTED = re.compile(r"""(['"]).*\1""", re.DOTALL)


def typed_command() -> str:
    """The command of this process, to be pasted into a shell."""
    return f"python -m monai.bundle {shell_line(sys.argv[1:])}"


def shell_line(words: Iterable[str]) -> str:
    """Words of a command line with the quotes that a shell needs to read them as they are."""
    return " ".join(
        f'"{word}"' if "'" in word and not _SPECIAL_IN_QUOTES.search(word) else shlex.quote(word) for word in words
    )


def typed_values(arguments: Sequence[str]) -> dict[str, str | None]:
    """``--key value`` and ``--key=value`` of a command line, without the program; None for a key without a value.

    The rules are Fire's: a flag begins with ``--``, or with ``-`` and a letter; the last one of a name counts.
    """
    return dict(_typed_pairs(arguments))


def refuse_doubled(arguments: Sequence[str]) -> None:
    """Refuse a command line that gives a key more than once: the last one would count, without a word.

    Raises:
        InputError: one line with the keys.
    """
    doubled = repeated([key.replace("::", "#") for key, _ in _typed_pairs(arguments)])
    if doubled:
        raise InputError(f"{', '.join(doubled)}: given more than once on the command line; keep one of each.")


def _typed_pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Key and value of every flag, see :func:`typed_values`."""
    words = list(arguments)
    for number, word in enumerate(words):
        if not _is_flag(word):
            continue
        key, equals, value = word.lstrip("-").partition("=")
        following = words[number + 1 : number + 2]
        has_next = not equals and following and not _is_flag(following[0])
        yield key.replace("-", "_"), value if equals else following[0] if has_next else None


def as_typed(
    given: Mapping[str, Any], typed: Mapping[str, str | None], files: Mapping[str, Any], paths: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """The overrides, with the text that was typed for every key that holds a text.

    A key holds a text when its value in the files is one, or an expression that joins a path; what joins a path must
    not become ``None`` or empty, and ``~`` is the home folder. For texts that are no path, lists and dictionaries stay
    what Fire read (a label map may be given as ``"{1: 2}"``); so do ``None`` and text in quotes.

    Args:
        given: override keys and values as MONAI got them.
        typed: see :func:`typed_values`.
        files: content of the config files, merged, before the overrides.
        paths: keys that are known to be paths.

    Returns:
        ``given`` with typed values, and a text for each such key that was given without a value, or lost it.
    """
    known = set(paths)
    values, faults = dict(given), []
    for key, value in given.items():
        default = look_up(files, ReferenceResolver.split_id(key))
        if key not in typed or not _holds_text(default):
            continue
        text = typed[key]
        if text is None:
            faults.append(f"{key} was given without a value")
        elif value is None or (isinstance(value, str) and _QUOTED.fullmatch(text)):
            continue
        elif _is_path(key, default, known):
            values[key] = _at_home(text)
        elif not isinstance(value, list | dict | tuple) or text[:1] not in "[{(":
            values[key] = text
    # MONAI passes over a key that is None, and '' is the folder that the command runs in.
    lost = [
        key
        for key, text in typed.items()
        if text in ("", "None") and _joins_path(look_up(files, ReferenceResolver.split_id(key)))
    ]
    faults += [f"{key} is {typed[key] or 'empty'}; give a path (./None for one of that name)" for key in lost]
    return values, faults


def texts_with_marks(files: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Texts that hold a ``#`` and are neither reference nor expression, by id, as files and overrides have them."""
    raw = ConfigParser(config=deepcopy(dict(files)))
    for key, value in given.items():
        raw[key] = value
    return dict(_marked("", raw.get()))


def _marked(prefix: str, config: Any) -> Iterator[tuple[str, str]]:
    if isinstance(config, str):
        if "#" in config and not config.startswith(_EXPRESSION):
            yield prefix, config
    elif isinstance(config, dict | list):
        for _, key, value in ReferenceResolver.iter_subconfigs(prefix, config):
            yield from _marked(key, value)


def _holds_text(default: Any) -> bool:
    return _joins_path(default) or (isinstance(default, str) and not default.startswith(_EXPRESSION))


def _joins_path(default: Any) -> bool:
    return isinstance(default, str) and "os.path.join(" in default


def _is_path(key: str, default: str, known: set[str]) -> bool:
    return key in known or _joins_path(default) or key.endswith(_PATH_NAMES)


def _at_home(text: str) -> str:
    """A path whose ``~`` the shell left, behind ``=`` or in quotes, as it does elsewhere; one of that name stays."""
    if not text.startswith("~") or os.path.lexists(Path(text).parts[0]):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError:  # no such user
        return text


def _is_flag(word: str) -> bool:
    return word.startswith("--") or bool(re.match("-[a-zA-Z]", word))
