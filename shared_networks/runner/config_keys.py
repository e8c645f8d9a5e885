"""Tell the keys a configuration knows from the keys that nothing in it would ever look at."""

import ast
import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pydoc import locate
from typing import Any

from monai.bundle import ConfigComponent, ConfigParser, ReferenceResolver

from shared_networks.utils.number_checks import is_number

_COUNTS = (
    *("batch_size", "max_epochs", "iterations_per_epoch", "val_interval", "validation_every", "versions", "classes"),
    "histogram_stride",
)
"""Settings of which 0 leaves nothing to do, or divides by it."""


def unknown_keys(given: Iterable[str], files: Mapping[str, Any], merged: Mapping[str, Any]) -> list[str]:
    """Describe the override keys (``"mri"``, ``"train#trainer#max_epochs"``) that have no effect, in the given order.

    A key is known when the files, merged, hold it before the overrides. A key the files do not hold is still good when
    its parent is a component whose constructor takes an argument of that name, or when something refers to it (or to
    what it lies in). A text is e.g. ``"unknown key 'max_epoch' (did you mean 'max_epochs'?)"``.
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
    """What switches mean that were given in lower case: ``--key false`` gives the text "false", which Python takes as
    true.

    ``files`` is the content of the config files, merged, before the overrides.
    """
    words = {"true": True, "false": False}
    return {
        key: words[value.lower()]
        for key, value in given.items()
        # A switch may be an expression in the file, so that only the text given shows that it is one.
        if isinstance(value, str) and (value in words or (value.lower() in words and _is_switch(key, files)))
    }


def whole_as_integers(given: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, Any]:
    """Whole numbers that were given as ``4.0`` or ``1e2`` where the files have integers; those of a list by their ids,
    such as ``"size#0"``."""
    found = {}
    for key, value in given.items():
        default = _yielded(look_up(files, ReferenceResolver.split_id(key)), files)
        defaults = default if isinstance(default, list) else [default]
        if defaults and all(isinstance(one, int) and not isinstance(one, bool) for one in defaults):
            parts = (
                {f"{key}#{number}": one for number, one in enumerate(value)}
                if isinstance(value, list)
                else {key: value}
            )
            found |= {id_: int(one) for id_, one in parts.items() if isinstance(one, float) and one.is_integer()}
    return found


def mistaken_values(given: Mapping[str, Any], files: Mapping[str, Any]) -> list[str]:
    """Describe the values of another kind than the file's: text for a number, a number for a list, and the like.

    Nothing would look at them until they are used, which may be in the middle of a run. References, expressions and
    None pass. Where the file holds an expression, its form says what kind it yields, if it does. Of the keys at the
    top, which users set, numbers that are not negative in the files must not become so, nor counts 0; lists and
    dictionaries stay what they are. A component's argument may have several forms.

    Args:
        given: override keys and values.
        files: content of the config files, merged, before the overrides.

    Returns:
        One text for each such key, in the given order, e.g. ``"overlap must be a number, got 'abc'"``.
    """
    found = []
    for key, value in given.items():
        if value is None or is_reference(value):
            continue
        parts = ReferenceResolver.split_id(key)
        default = _yielded(look_up(files, parts), files)
        expected = _expected_plain(key, value, default, len(parts) == 1)
        if not expected and len(parts) == 1 and parts[0] != ConfigParser.meta_key:
            expected = _expected_whole(value, default)
        if expected:
            found.append(f"{key} must be {expected}, got {value!r}")
    return found


def _expected_plain(key: str, value: Any, default: Any, is_setting: bool) -> str:
    """What a value should be where the file holds a switch or a number; '' where it is that, or something else."""
    if isinstance(default, bool):
        is_one = value in (0, 1) if isinstance(value, int | float) else str(value).lower() in ("true", "false")
        return "" if is_one and not isinstance(value, list | dict | tuple) else "True or False"
    if not is_number(default):
        return ""
    if not is_number(value):
        return "a number"
    if isinstance(default, int) and value != int(value):
        return "a whole number"
    least = 1 if is_setting and key in _COUNTS and default >= 1 else 0
    return f"at least {least}" if is_setting and default >= 0 and value < least else ""


def _expected_whole(value: Any, default: Any) -> str:
    """The same where it holds a list or a dictionary that is no component."""
    if isinstance(default, list):
        return _expected_list(value, default)
    if isinstance(default, Mapping) and not ConfigComponent.is_instantiable(default):
        return "" if isinstance(value, Mapping) else "a dictionary"
    return ""


def _expected_list(value: Any, default: list[Any]) -> str:
    """The same where it holds a list; two or three numbers are a range or a size, which keeps its length.

    One whole number stands for a size that is the same along all axes, as in MONAI.
    """
    plain = bool(default) and not any(isinstance(part, list | dict) for part in default)
    example = default if plain else ["a", "b"]
    if not isinstance(value, list | tuple):
        is_size = plain and all(isinstance(part, int) for part in [value, *default]) and is_number(value)
        return "" if is_size else f"a list such as {example}"
    of_numbers = plain and all(map(is_number, default))
    of_texts = plain and all(isinstance(part, str) for part in default)
    if of_numbers and len(default) in (2, 3) and len(value) != len(default):
        return f"a list of {len(default)} numbers such as {example}"
    is_good = (not of_numbers or all(is_number(part) or is_reference(part) for part in value)) and (
        not of_texts or all(isinstance(part, str) for part in value)
    )
    return "" if is_good else f"a list such as {example}"


def is_reference(value: Any) -> bool:
    """Whether it is a text that MONAI resolves: a reference, an expression or a macro."""
    return isinstance(value, str) and value.startswith(("$", "@", "%"))


def _is_switch(key: str, files: Mapping[str, Any]) -> bool:
    return isinstance(_yielded(look_up(files, ReferenceResolver.split_id(key)), files), bool)


def _yielded(default: Any, files: Mapping[str, Any]) -> Any:
    """A value of the kind that an expression yields, such as 4 for ``"$16 if @amp else 4"``, as far as its form tells;
    the value itself where it is none, or tells nothing."""
    if not (isinstance(default, str) and default.startswith("$")):
        return default
    names = re.sub(r"@(\w+)((?:(?:#|::)\w+)*)", lambda found: "part" if found[2] else found[1], default[1:])
    try:
        expression = ast.parse(names, mode="eval").body
    except SyntaxError:
        return default
    branches = [expression.body, expression.orelse] if isinstance(expression, ast.IfExp) else [expression]
    kinds = [kind for kind in (_kind_of(branch, files) for branch in branches) if kind is not None]
    return kinds[-1] if len({isinstance(kind, list) for kind in kinds}) == 1 else default


def _kind_of(expression: ast.expr, files: Mapping[str, Any]) -> Any:
    """A switch, a number or a list of numbers like what a plain expression yields; None for others."""
    if isinstance(expression, ast.Compare):
        return True
    if isinstance(expression, ast.Call):
        if isinstance(expression.func, ast.Attribute) and expression.func.attr in ("startswith", "is_available"):
            return True
        return 1 if isinstance(expression.func, ast.Name) and expression.func.id == "len" else None
    if isinstance(expression, ast.UnaryOp):
        return _kind_of(expression.operand, files)
    if isinstance(expression, ast.BinOp):
        sides = [_kind_of(side, files) for side in (expression.left, expression.right)]
        return sum(sides) if all(isinstance(side, int | float) for side in sides) else None
    if isinstance(expression, ast.ListComp):
        return _kind_of(expression.generators[0].iter, files)
    if isinstance(expression, ast.Name):
        value = files.get(expression.id)
    else:
        try:
            value = ast.literal_eval(expression)
        except ValueError:
            return None
    is_list = isinstance(value, list) and bool(value) and all(map(is_number, value))
    return value if is_list or isinstance(value, bool | int | float) else None


def is_referred_to(key: str, config: Any) -> bool:
    """Whether a string of a configuration refers to ``key``, to a part of it, or to a whole that it is a part of.

    The key has ``#`` or ``::`` between its parts.
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


def component_callable(component: Mapping[str, Any]) -> Callable[..., Any] | None:
    """What a component of a configuration calls; None when it is not found."""
    target = ConfigComponent(dict(component)).resolve_module_name()
    found = locate(target) if isinstance(target, str) else target
    return found if callable(found) else None


def _argument_names(component: Mapping[str, Any]) -> list[str] | None:
    """Names the component's constructor takes; ``None`` when it takes any, or cannot be asked."""
    target = component_callable(component)
    if target is None:
        return None
    try:
        parameters = inspect.signature(target).parameters.values()
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
