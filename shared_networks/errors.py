"""What is wrong with an input, as opposed to the code: the one error class for it, and what becomes of a case."""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any


def one_line(text: object) -> str:
    """Text without line breaks and other control characters: what a file's name or header says stays on its line.

    Bytes of a file name that are no UTF-8, which Python holds as surrogates and nothing can print, become ``\\udcfc``.
    """
    printable = str(text).encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f]+", " ", printable).strip()


def join_remarks(*remarks: str) -> str:
    """What is said about a case, as one text; '' is no remark."""
    return "; ".join(filter(None, remarks))


def repeated(names: Sequence[str]) -> list[str]:
    """Names that stand more than once, each once and in their order, for a refusal that lists them."""
    return list(dict.fromkeys(name for name in names if names.count(name) > 1))


class InputError(ValueError):
    """Bad input from a user: the message is one line that says what is wrong and what to do.

    Library code raises it; whoever runs a batch catches it, reports the case and goes on.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class CaseStatus(str, Enum):
    """What became of a case. Each is its own word, so that items and reports hold plain text.

    As a key of an item, ``REFUSED`` and ``SKIPPED`` hold the reason.
    """

    OK = "ok"
    WARNED = "warned"
    REFUSED = "refused"
    SKIPPED = "skipped"

    # Python 3.12 would write the name of the class too.
    __str__ = str.__str__
    __format__ = str.__format__


def raise_refusal(item: Mapping[Any, Any]) -> None:
    """Raise the reason of an item that its data list has refused.

    Raises:
        InputError: when there is one.
    """
    if item.get(CaseStatus.REFUSED):
        raise InputError(str(item[CaseStatus.REFUSED]))
