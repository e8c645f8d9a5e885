"""Under MONAI's stock runner, end with one line that says what went wrong instead of a traceback."""

import linecache
import logging
import re
import sys
import tempfile
from traceback import format_exception, walk_tb
from types import TracebackType
from typing import Any

from monai.bundle import ConfigParser

from shared_networks.errors import InputError, one_line

_WRAPPERS = ("Failed to evaluate", "Failed to instantiate", "applying transform")
_LONGEST = 300
"""Characters of a message or a part of a config: the whole of it is in the traceback."""


def runs_as_bundle_command() -> bool:
    """Whether this process is ``python -m monai.bundle`` itself, also below ``torchrun -m``."""
    specification = getattr(sys.modules.get("__main__"), "__spec__", None)
    return specification is not None and specification.name == "monai.bundle.__main__"


def find_input_error(error: BaseException | None) -> InputError | None:
    """The :class:`InputError` that an error is, or that it was raised from: MONAI and ignite wrap what they catch.

    What MONAI raises while it reads a config file, which it does not name, becomes one.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, InputError):
            return error
        seen.add(id(error))
        for frame, _ in walk_tb(error.__traceback__):
            if frame.f_code is ConfigParser.load_config_file.__func__.__code__:
                reason = one_line(error)[:_LONGEST]
                return InputError(f"{frame.f_locals['filepath']}: not a readable config file ({reason}); correct it.")
        error = error.__cause__ or error.__context__
    return None


def reason_of(error: BaseException) -> str:
    """What went wrong, on one line: the input's fault, or the error inside MONAI's wrappers and where it was raised.

    MONAI wraps what an expression, a component or a transform of a config raises, so that the reason stands many lines
    above the end of a traceback.
    """
    fault = find_input_error(error)
    if fault is not None:
        return _from_worker(str(fault))
    is_refused = _is_refused_setting(error)
    error, wrappers = _unwrapped(error)
    place = f" (in {_as_written(wrappers[-1])})" if wrappers else ""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = one_line(error)[:_LONGEST]
    kind = "" if is_refused else f"{type(error).__name__}{': ' if text else ''}"
    return f"{kind}{text}{place}"


def _is_refused_setting(error: BaseException) -> bool:
    """Whether a component of this package said, while it was made, that its arguments are none for it."""
    error, wrappers = _unwrapped(error)
    is_making = any(text.startswith("Failed to instantiate") for text in wrappers)
    if not is_making or type(error) is not ValueError:
        return False
    # What Python raises in a line of this package says nothing of the arguments.
    return any(
        frame.f_globals.get("__name__", "").startswith("shared_networks.")
        and linecache.getline(frame.f_code.co_filename, line).lstrip().startswith("raise ")
        for frame, line in list(walk_tb(error.__traceback__))[-1:]
    )


def _unwrapped(error: BaseException) -> tuple[BaseException, list[str]]:
    """The error inside MONAI's wrappers, and what these say, from the outermost one."""
    wrappers = []
    while isinstance(error, RuntimeError) and error.__cause__ and str(error).startswith(_WRAPPERS):
        wrappers.append(str(error))
        error = error.__cause__
    return error, wrappers


def shorten_errors() -> None:
    """From now on an uncaught error prints one line to stderr, and where the traceback is when it is not the input's.

    So does every error that is logged with its traceback, as MONAI's handlers log what ends a training. The exit code
    stays 1, Python's own for an uncaught error. To be called only where :func:`runs_as_bundle_command`: how errors are
    shown is the program's business, not a library's.
    """
    sys.excepthook = _print_one_line
    logging.setLogRecordFactory(_one_line_record)


def _one_line_record(*arguments: Any, **keys: Any) -> logging.LogRecord:
    record = logging.LogRecord(*arguments, **keys)
    if isinstance(record.exc_info, tuple) and record.exc_info[1] is not None:
        record.msg, record.args, record.exc_info = reason_of(record.exc_info[1]), (), None
    return record


def _as_written(wrapper: str) -> str:
    """The part of the config that a wrapper names, as the file has it."""
    text = re.sub(r"__local_refs\['([^']*)'\]", r"@\1", one_line(wrapper))
    for prefix in ("Failed to evaluate ConfigExpression: ", *_WRAPPERS):
        text = text.removeprefix(prefix)
    text = text.partition(" with keywords: ")[0]
    return re.sub(r"""^(['"])(.*)\1$""", r"\2", text.strip())[:_LONGEST]


def _from_worker(text: str) -> str:
    """The message of an error of a loader's worker, which PyTorch hands on as the worker's whole traceback."""
    return text.rpartition("InputError: ")[2] if "Original Traceback" in text else text


def _print_one_line(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    try:
        is_explained = find_input_error(error) or _is_refused_setting(error)
        details = "" if is_explained else _write_traceback(kind, error, traceback)
    except OSError:  # nowhere to put it
        sys.__excepthook__(kind, error, traceback)
        return
    print(f"error: {reason_of(error)}", file=sys.stderr)
    if details:
        print(f"the traceback is in {details}", file=sys.stderr)


def _write_traceback(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> str:
    if kind is KeyboardInterrupt:
        return ""
    with tempfile.NamedTemporaryFile("w", prefix="traceback-", suffix=".txt", delete=False, encoding="utf-8") as stream:
        stream.writelines(format_exception(kind, error, traceback))
    return stream.name
