"""Find the checkpoint from which an interrupted training goes on."""

from pathlib import Path

from shared_networks.utils.whole_checkpoints import is_whole_checkpoint

__all__ = ["newest_checkpoint"]


def newest_checkpoint(folder: str, pattern: str = "checkpoint_*.pt") -> str:
    """Newest checkpoint of a folder that can be read in full; '' when there is none.

    A file that cannot be read (a disk that filled up, a copy that broke off, damage) is passed over with a warning, so
    that the one before it is used.

    Args:
        folder: where the training wrote its checkpoints.
        pattern: names to look at; the newest by modification time comes first.
    """
    candidates = sorted(Path(folder).glob(pattern), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return next((str(path) for path in candidates if is_whole_checkpoint(path)), "")
