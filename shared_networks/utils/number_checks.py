"""Whether settings that are numbers are so, asked where a component is made: used later, they end a run half-way."""

import math
from collections.abc import Sequence
from typing import Any

from shared_networks.errors import InputError


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and no switch."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_number(
    name: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    whole: bool = False,
) -> None:
    """Refuse what is no finite number within bounds.

    Args:
        name: of the setting.
        value: what was given.
        least: smallest good value.
        most: largest good value.
        below: what a good value is smaller than.
        whole: whether fractions are refused.

    Raises:
        InputError: one line with name, expectation and value.
    """
    if not is_number(value) or (whole and value != int(value)):
        raise InputError(f"{name} must be a {'whole number' if whole else 'number'}, got {value!r}.")
    if least <= value <= most and value < below:
        return
    bounds = [f"at least {least:g}"] if least > -math.inf else []
    bounds += [f"at most {most:g}"] if most < math.inf else []
    bounds += [f"below {below:g}"] if below < math.inf else []
    raise InputError(f"{name} must be {' and '.join(bounds)}, got {value!r}.")


def check_numbers(name: str, values: Any, count: int, **bounds: Any) -> None:
    """:func:`check_number` for each of so many values.

    Raises:
        InputError: for another count too.
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        raise InputError(f"{name} must be a list of {count} numbers, got {values!r}.")
    for value in values:
        check_number(name, value, **bounds)
