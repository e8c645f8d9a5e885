"""What a training checkpoint keeps of the trainer: its place in the run and its gradient scaler."""

from collections.abc import Mapping
from typing import Any

from monai.engines import SupervisedTrainer

__all__ = ["TrainerState"]


class TrainerState:
    """Stands for the trainer in a checkpoint, and adds the gradient scaler of automatic mixed precision.

    Without it a resumed run would begin at the scaler's first scale and leave out steps until it has found the right
    one again. A checkpoint from a run without mixed precision leaves the scaler as it is, and a run without mixed
    precision takes a checkpoint with one.

    Args:
        trainer: whose state it is.
    """

    def __init__(self, trainer: SupervisedTrainer) -> None:
        self.trainer = trainer

    def state_dict(self) -> dict[str, Any]:
        """State of the trainer, and that of its scaler under ``scaler`` (empty without mixed precision)."""
        scaler = self.trainer.scaler
        return {**self.trainer.state_dict(), "scaler": {} if scaler is None else scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`, or the state of a trainer alone."""
        state = dict(state)
        scaler_state, scaler = state.pop("scaler", {}), self.trainer.scaler
        self.trainer.load_state_dict(state)
        if scaler_state and scaler is not None and scaler.is_enabled():
            scaler.load_state_dict(scaler_state)
