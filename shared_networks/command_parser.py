"""The parser of our command lines."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from shared_networks.errors import InputError, repeated


class CommandParser(argparse.ArgumentParser):
    """Mistakes in the command line are input errors: argparse's own exit code, 2, means a refused case here.

    A key that is given twice is such a mistake. Keys may have ``-`` for ``_``, as those of MONAI's runner.
    """

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse; raises InputError for a command line that means nothing."""
        words = [_underlined(word) for word in (sys.argv[1:] if args is None else args)]
        doubled = repeated([word.partition("=")[0] for word in words if word.startswith("--")])
        if doubled:
            raise InputError(f"{', '.join(doubled)}: given more than once; keep one of each.")
        return super().parse_known_args(words, namespace)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")


def _underlined(word: str) -> str:
    """A long flag as it was declared: ``--output-dir`` is ``--output_dir``."""
    if not word.startswith("--"):
        return word
    key, equals, value = word[2:].partition("=")
    return f"--{key.replace('-', '_')}{equals}{value}"
