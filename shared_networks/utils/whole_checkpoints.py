"""Checkpoints on the disk: written atomically, and checked for damage."""

import logging
import zipfile
from pathlib import Path
from typing import Any

import torch

from shared_networks.errors import InputError
from shared_networks.utils.atomic import atomic_path


def write_checkpoint(content: Any, path: str | Path) -> None:
    """Save what ``torch.load(..., weights_only=True)`` can read back, atomically; the folder must exist.

    An old file of the name stays until the new one is complete. Raises InputError when it cannot be written (disk full,
    no permission).
    """
    try:
        with atomic_path(path) as temporary, temporary.open("wb") as stream:
            torch.save(content, stream)
    except (OSError, RuntimeError) as error:
        fault = _system_error(error)
        if fault is None:
            raise
        raise InputError(
            f"{path}: the checkpoint cannot be written ({fault.strerror or fault}); earlier ones are whole: make "
            "space, then give the same command again to go on."
        ) from error


def is_whole_checkpoint(path: str | Path) -> bool:
    """Whether a checkpoint can be read and every part has its checksum; a warning says what is wrong with it."""
    try:
        # PyTorch does not compare checksums; a file that a crash left with holes has its full length.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise OSError(f"{damaged} is damaged")
        torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        logging.getLogger("is_whole_checkpoint").warning(
            f"{path}: unreadable checkpoint is passed over ({type(error).__name__}: {text})"
        )
        return False
    return True


def _system_error(error: BaseException | None) -> OSError | None:
    """The OSError behind an error: torch.save raises another one from it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error
