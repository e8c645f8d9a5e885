"""Find the checkpoint from which an interrupted training goes on."""

import logging
from pathlib import Path

import torch

__all__ = ["newest_checkpoint"]


def newest_checkpoint(folder: str, pattern: str = "checkpoint_*.pt") -> str:
    """Newest checkpoint of a folder that can be read in full; '' when there is none.

    A file that cannot be read (a disk that filled up, a copy that broke off) is passed over with a warning, so that
    the one before it is used.

    Args:
        folder: where the training wrote its checkpoints.
        pattern: names to look at; the newest by modification time comes first.
    """
    logger = logging.getLogger("newest_checkpoint")
    candidates = sorted(Path(folder).glob(pattern), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in candidates:
        try:
            torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            logger.warning(f"{path}: unreadable checkpoint is passed over ({type(error).__name__}: {error})")
            continue
        return str(path)
    return ""
