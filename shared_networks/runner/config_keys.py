"""Tell the keys a configuration knows from the keys that nothing in it would ever look at."""

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pydoc import locate
from typing import Any

from monai.bundle import ConfigComponent, ConfigParser, ReferenceResolver

__all__ = ["is_referred_to", "look_up", "mistaken_texts", "strings_of", "switches_as_text", "unknown_keys"]


def unknown_keys(given: Iterable[str], files: Mapping[str, Any], merged: Mapping[str, Any]) -> list[str]:
    """Describe the override keys that have no effect.

    A key is known when the files hold it. A key the files do not hold is still good when its parent is a component
    whose constructor takes an argument of that name, or when something refers to it (or to what it lies in).

    Args:
        given: override keys as the runner takes them, e.g. ``"mri"`` or ``"train#trainer#max_epochs"``.
        files: content of the config files, merged, before the overrides.
        merged: content after the overrides.

    Returns:
        One text for each unknown key, in the given order, e.g. ``"unknown key 'max_epoch' (did you mean
        'max_epochs'?)"``.
    """
    found = []
    for key in given:
        *parents, name = ReferenceResolver.split_id(key)
        section = look_up(files, parents)
        if (parents or [name])[0] == ConfigParser.meta_key or not isinstance(section, Mapping) or name in section:
            continue
        if ConfigComponent.is_instantiable(section):
            candidates = _argument_names(section)
            known = candidates is None or name in candidates
        else:
            candidates = [other for other in section if not other.startswith("_")]
            known = is_referred_to(key, merged)
        if not known:
            found.append(f"unknown key '{key}' ({_suggestion(name, parents, candidates, section)})")
    return found


def switches_as_text(given: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, bool]:
    """Switches that were given in lower case: ``--key false`` gives the text "false", which Python takes as true.

    Args:
        given: override keys and values.
        files: content of the config files, merged, before the overrides.

    Returns:
        What each of them means, by key.
    """
    words = {"true": True, "false": False}
    return {
        key: words[value.lower()]
        for key, value in given.items()
        # A switch may be an expression in the file, so that only the text given shows that it is one.
        if isinstance(value, str) and (value in words or (value.lower() in words and _is_switch(key, files)))
    }


def mistaken_texts(given: Mapping[str, Any], files: Mapping[str, Any]) -> list[str]:
    """Describe the switches that were given a text that is neither true nor false, and the numbers that were given any.

    Args:
        given: override keys and values.
        files: content of the config files, merged, before the overrides.

    Returns:
        One text for each such key, in the given order.
    """
    found = []
    for key, value in given.items():
        if not isinstance(value, str) or value.startswith(("$", "@", "%")):
            continue
        default = look_up(files, ReferenceResolver.split_id(key))
        if isinstance(default, bool) and value.lower() not in ("true", "false"):
            found.append(f"{key} must be True or False, got '{value}'")
        elif isinstance(default, int | float) and not isinstance(default, bool):
            found.append(f"{key} must be a number, got '{value}'")
    return found


def _is_switch(key: str, files: Mapping[str, Any]) -> bool:
    return isinstance(look_up(files, ReferenceResolver.split_id(key)), bool)


def is_referred_to(key: str, config: Any) -> bool:
    """Whether a string of a configuration refers to ``key``, to a part of it, or to a whole that it is a part of.

    Args:
        key: id of an item, with ``#`` or ``::`` between its parts.
        config: nested dictionaries and lists.
    """
    parts = ReferenceResolver.split_id(key)
    for text in strings_of(config):
        for reference in ReferenceResolver.match_refs_pattern(text):
            named = ReferenceResolver.split_id(reference)
            shared = min(len(named), len(parts))
            if named[:shared] == parts[:shared]:
                return True
    return False


def strings_of(config: Any) -> Iterator[str]:
    """Every string inside a configuration."""
    if isinstance(config, str):
        yield config
    elif isinstance(config, Mapping):
        for value in config.values():
            yield from strings_of(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from strings_of(value)


def look_up(config: Any, parts: Sequence[str]) -> Any:
    """The item under the parts of an id; None when there is none."""
    for part in parts:
        if isinstance(config, Mapping):
            config = config.get(part)
        elif isinstance(config, list) and part.isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            return None
    return config


def _argument_names(component: Mapping[str, Any]) -> list[str] | None:
    """Names the component's constructor takes; ``None`` when it takes any, or cannot be asked."""
    target = ConfigComponent(dict(component)).resolve_module_name()
    callable_ = locate(target) if isinstance(target, str) else None
    if not callable(callable_):
        return None
    try:
        parameters = inspect.signature(callable_).parameters.values()
    except ValueError:  # written in C, and says nothing
        return None
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters] + sorted(ConfigComponent.non_arg_keys)


def _suggestion(name: str, parents: Sequence[str], candidates: Sequence[str], section: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, candidates, n=1)
    if close:
        return f"did you mean '{'#'.join([*parents, close[0]])}'?"
    # Plain values are what users set; the components and expressions made of them would only make the line long.
    plain = [key for key in candidates if not isinstance(section.get(key), list | dict)]
    settable = [key for key in plain if not str(section.get(key)).startswith(("$@", "@", "%"))]
    return f"known here: {', '.join(settable or candidates)}"
