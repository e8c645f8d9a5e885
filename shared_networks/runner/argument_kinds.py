"""Whether a value is of a kind that the components of a configuration take, by the annotations of their arguments.

The value that a config file holds says what kind a key is of, unless it is null or an expression. Whatever the file
holds, a component that takes the key as it is (``"class_weights": "@class_weights"``) says what its argument may be.
"""

import inspect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from monai.bundle import ConfigComponent, ReferenceResolver

from shared_networks.runner.config_keys import component_callable, is_reference, look_up
from shared_networks.utils.number_checks import is_number

_LISTS = (list, tuple, set, Sequence, Collection, Iterable)
_NAMES = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
_PLURALS = {bool: "switches", int: "whole numbers", float: "numbers", str: "texts"}


def mistaken_arguments(given: Mapping[str, Any], merged: Mapping[str, Any]) -> list[str]:
    """Describe the values that a component's argument is not made for: text for a list of numbers, and the like.

    None, references and expressions pass, and so does what an annotation leaves open.

    Args:
        given: override keys and values.
        merged: content of the config files, merged, with the overrides.

    Returns:
        One text for each such key, in the given order, e.g.
        ``"class_weights must be a list of numbers, or None, got 'abc'"``.
    """
    found = []
    for key, value in given.items():
        if value is None or is_reference(value):
            continue
        annotations = list(_annotations(key, merged))
        # An overlay may give a key another kind: what it replaced stands unused beside what takes it.
        if annotations and not any(_accepts(annotation, value) for annotation in annotations):
            found.append(f"{key} must be {_described(annotations[0])}, got {value!r}")
    return found


def _annotations(key: str, merged: Mapping[str, Any]) -> Iterator[Any]:
    """Of the arguments that are this key, or take its value as it is."""
    *parents, name = ReferenceResolver.split_id(key)
    if parents:
        section = look_up(merged, parents)
        if ConfigComponent.is_instantiable(section):
            yield from _annotation(section, name)
        return
    names = [name]
    for known in names:  # "renewed": "@versions" hands a value on
        names += [other for other, text in merged.items() if text == f"@{known}" and other not in names]
    references = {f"@{known}" for known in names}
    for component in _components(merged):
        for argument, text in component.items():
            if isinstance(text, str) and text in references:
                yield from _annotation(component, argument)


def _components(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every component inside a configuration."""
    if ConfigComponent.is_instantiable(config):
        yield config
    if isinstance(config, Mapping | list):
        for part in config.values() if isinstance(config, Mapping) else config:
            yield from _components(part)


def _annotation(component: Mapping[str, Any], argument: str) -> list[Any]:
    """How the component's constructor annotates an argument; empty where it does not, or cannot be asked."""
    target = component_callable(component)
    try:
        parameter = inspect.signature(target).parameters.get(argument)
        annotations = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (NameError, TypeError, ValueError):  # what is imported for type checkers only, or written in C
        return []
    return [annotations[argument]] if parameter is not None and argument in annotations else []


def _accepts(annotation: Any, value: Any) -> bool:
    """Whether an annotation may mean a value of JSON; whatever is not known here may."""
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin in (Union, UnionType):
        return any(_accepts(part, value) for part in arguments)
    if origin is Literal:
        return value in arguments
    if origin is NoneType:
        return value is None
    if origin is bool:
        return str(value).lower() in ("true", "false", "0", "1")
    if origin in (int, float):
        return is_number(value) and (origin is float or value == int(value))
    if origin is str:
        return isinstance(value, str)
    if origin in _LISTS:
        return isinstance(value, list | tuple) and _accepts_parts(arguments, value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    return True


def _accepts_parts(arguments: tuple[Any, ...], values: Sequence[Any]) -> bool:
    """The same for the parts of a list, whose annotation has these arguments."""
    if len(arguments) > 1 and arguments[-1] is not Ellipsis:  # tuple[int, int]
        return len(values) == len(arguments) and all(map(_accepts, arguments, values))
    return not arguments or all(_accepts(arguments[0], value) or is_reference(value) for value in values)


def _described(annotation: Any) -> str:
    """An annotation that does not accept everything, in words."""
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin in (Union, UnionType):
        kinds = [_described(part) for part in arguments if part is not NoneType]
        return f"{' or '.join(dict.fromkeys(kinds))}{', or None' if NoneType in arguments else ''}"
    if origin is Literal:
        return " or ".join(map(repr, arguments))
    if origin in _LISTS:
        parts = _PLURALS.get(arguments[0], "") if arguments else ""
        count = f"{len(arguments)} " if len(arguments) > 1 and arguments[-1] is not Ellipsis else ""
        return f"a list of {count}{parts}" if parts else "a list"
    return "a dictionary" if origin in (dict, Mapping) else _NAMES[origin]
