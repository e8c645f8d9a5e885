"""Keep the last checkpoints of a training, whole whatever happens."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from ignite.handlers.checkpoint import BaseSaveHandler
from monai.handlers import CheckpointSaver

from shared_networks.utils.atomic import remove_abandoned
from shared_networks.utils.whole_checkpoints import write_checkpoint


class TrainingCheckpoints(CheckpointSaver):
    """MONAI's ``CheckpointSaver`` by epochs, with files that are written atomically.

    MONAI's own writes under the final name and removes the oldest file before: a process killed meanwhile leaves one
    whole file at most, a full disk a broken one; and a resumed run forgets the files of the run before. Here the new
    file, ``<file_prefix>_checkpoint_epoch=<epoch>.pt``, is renamed when it is complete, and earlier epochs' files
    beyond ``n_saved`` go after that. Raises InputError when a checkpoint cannot be written.
    """

    def __init__(
        self, save_dir: str, save_dict: dict[str, Any], file_prefix: str = "", save_interval: int = 1, n_saved: int = 2
    ) -> None:
        super().__init__(save_dir, save_dict, file_prefix=file_prefix, save_interval=save_interval)
        self._interval_checkpoint.save_handler = _AtomicSaver(Path(save_dir), n_saved)


class _AtomicSaver(BaseSaveHandler):
    """What ignite's ``Checkpoint`` saves with."""

    def __init__(self, folder: Path, n_saved: int) -> None:
        self.folder = folder
        self.n_saved = n_saved
        remove_abandoned(folder)

    def __call__(self, checkpoint: dict[str, Any], filename: str, metadata: dict[str, Any] | None = None) -> None:
        write_checkpoint(checkpoint, self.folder / filename)
        prefix, epoch = _parts(filename)
        # Files of later epochs are another run's, which this one does not resume.
        found = [_parts(path.name) for path in self.folder.glob("*.pt")]
        earlier = sorted(number for name, number in found if name == prefix and number < epoch)
        for number in earlier[: max(0, len(earlier) - self.n_saved + 1)]:
            self.remove(f"{prefix}{number}.pt")

    def remove(self, filename: str) -> None:
        """Remove a checkpoint; one that cannot be removed stays."""
        with suppress(OSError):
            (self.folder / filename).unlink()


def _parts(filename: str) -> tuple[str, int]:
    """Everything before the epoch, and the epoch; -1 for a file of another name."""
    match = re.fullmatch(r"(.*_epoch=)(\d+)\.pt", filename)
    return (match[1], int(match[2])) if match else (filename, -1)
