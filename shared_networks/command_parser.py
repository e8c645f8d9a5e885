"""The parser of our command lines."""

import argparse
from typing import NoReturn

from shared_networks.errors import InputError


class CommandParser(argparse.ArgumentParser):
    """Mistakes in the command line are input errors: argparse's own exit code, 2, means a refused case here."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see {self.prog} --help")
