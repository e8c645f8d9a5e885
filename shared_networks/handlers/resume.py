"""Find the checkpoint from which an interrupted training goes on."""

import logging
from pathlib import Path

import ignite.distributed as idist
import torch

from shared_networks.errors import InputError
from shared_networks.handlers.training_origin import TrainingOrigin
from shared_networks.utils.whole_checkpoints import is_whole_checkpoint

_MOST_DIFFERENCES = 5


def newest_checkpoint(
    folder: str,
    pattern: str = "checkpoint_*.pt",
    origin: TrainingOrigin | None = None,
    max_epochs: int | None = None,
    resume: bool = True,
) -> str:
    """Newest checkpoint of a folder that can be read in full; '' when there is none.

    A file that cannot be read (a disk that filled up, a copy that broke off, damage) is passed over with a warning, so
    that the one before it is used.

    Args:
        folder: where the training wrote its checkpoints.
        pattern: names to look at; the newest by modification time comes first.
        origin: what this training is begun with; a checkpoint of another one is refused. None compares nothing.
        max_epochs: epochs of this training; one that has them already is said to be finished. None compares nothing.
        resume: whether to look at all.

    Raises:
        InputError: for a checkpoint of other data or settings, or of more epochs; when the processes of a distributed
            training, which all call this, do not find the same one.
    """
    if not resume:
        return ""
    candidates = sorted(Path(folder).glob(pattern), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    found = next((path for path in candidates if is_whole_checkpoint(path)), None)
    if idist.get_world_size() > 1:
        _refuse_different(found.name if found else "no checkpoint")
    if found is None:
        return ""
    if origin is not None or max_epochs is not None:
        _compare(found, origin, max_epochs)
    return str(found)


def _refuse_different(name: str) -> None:
    """One process writes checkpoints: without a common folder the others would begin anew beside it."""
    names = [found for part in idist.all_gather([name], group=None) for found in part]
    if len(set(names)) > 1:
        raise InputError(
            f"the processes find different checkpoints ({', '.join(dict.fromkeys(names))}): "
            "--ckpt_dir must be one folder that every machine reaches."
        )


def _compare(path: Path, origin: TrainingOrigin | None, max_epochs: int | None) -> None:
    logger = logging.getLogger("newest_checkpoint")
    content = torch.load(path, map_location="cpu", weights_only=True)
    if origin is not None and "origin" not in content:
        logger.warning(f"{path} does not say which data and settings it was made with: they were not compared")
    elif origin is not None:
        differences = origin.differences(content["origin"])
        if differences:
            more = ", ..." if len(differences) > _MOST_DIFFERENCES else ""
            raise InputError(
                f"{path}: a checkpoint of another training ({', '.join(differences[:_MOST_DIFFERENCES])}{more}): give "
                "its data and settings to go on with it, another --ckpt_dir, or --resume False to begin anew."
            )
    trainer = content.get("trainer", {})
    # Iterations are what ignite saves; epochs follow from them.
    epochs = trainer.get("epoch", trainer.get("iteration", 0) // max(1, trainer.get("epoch_length") or 1))
    if max_epochs is None or epochs < max_epochs:
        return
    advice = "give a larger --max_epochs to go on, another --ckpt_dir, or --resume False to begin anew"
    if epochs > max_epochs:
        raise InputError(f"{path}: {epochs} epochs are trained, max_epochs is {max_epochs}: {advice}.")
    logger.warning(f"this training is finished, {epochs} epochs of {max_epochs} ({path}): {advice}")
