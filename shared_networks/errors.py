"""The one error class that means "the input is wrong", as opposed to "the code is wrong"."""

import re

__all__ = ["InputError", "one_line"]


def one_line(text: object) -> str:
    """Text without line breaks and other control characters: what a file's name or header says stays on its line.

    Bytes of a file name that are no UTF-8, which Python holds as surrogates and nothing can print, become ``\\udcfc``.
    """
    printable = str(text).encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", printable).strip()


class InputError(ValueError):
    """Bad input from a user: the message is one line that says what is wrong and what to do.

    Library code raises it; whoever runs a batch catches it, reports the case and goes on.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())
