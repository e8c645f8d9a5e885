"""Under MONAI's stock runner, end with one line instead of a traceback when the input is at fault."""

import sys
from types import TracebackType

from shared_networks.errors import InputError

__all__ = ["find_input_error", "runs_as_bundle_command", "shorten_input_errors"]


def runs_as_bundle_command() -> bool:
    """Whether this process is ``python -m monai.bundle`` itself, also below ``torchrun -m``."""
    specification = getattr(sys.modules.get("__main__"), "__spec__", None)
    return specification is not None and specification.name == "monai.bundle.__main__"


def find_input_error(error: BaseException | None) -> InputError | None:
    """The :class:`InputError` that an error is, or that it was raised from: MONAI and ignite wrap what they catch."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, InputError):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def shorten_input_errors() -> None:
    """From now on an uncaught :class:`InputError` prints its one line to stderr; every other error prints as ever.

    The exit code stays 1, Python's own for an uncaught error. To be called only where :func:`runs_as_bundle_command`:
    how errors are shown is the program's business, not a library's.
    """
    if sys.excepthook is _print_one_line:
        return
    sys.excepthook = _print_one_line


def _print_one_line(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    fault = find_input_error(error)
    if fault is None:
        sys.__excepthook__(kind, error, traceback)
    else:
        print(f"error: {fault}", file=sys.stderr)
