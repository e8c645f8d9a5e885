"""What a training checkpoint keeps of the learning rate's schedule and of the trainer."""

import logging
import warnings
from collections.abc import Mapping
from typing import Any

from monai.engines import SupervisedTrainer
from torch.optim.lr_scheduler import LRScheduler

# Steps that a schedule is made for, as PyTorch's and MONAI's schedules call them.
_LENGTHS = ("T_max", "t_total", "warmup_steps", "total_iters")


class ScheduleState:
    """Stands for the schedule in a checkpoint, so that a run that goes on for more epochs has the schedule of all.

    A schedule would bring its length back with its place. Beyond that, a cosine rises again. Where a run has another
    length than its checkpoint, its own schedule is taken to the checkpoint's step, with one line in the log.

    Args:
        schedule: whose state it is; one that depends on nothing but the number of steps. In a checkpoint it comes
            behind its optimizer, whose learning rates it sets.
    """

    def __init__(self, schedule: LRScheduler) -> None:
        self.schedule = schedule

    def state_dict(self) -> dict[str, Any]:
        """The state of the schedule itself."""
        return self.schedule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state_dict`, but for the lengths."""
        own = self.schedule.state_dict()
        changed = [name for name in _LENGTHS if name in own and name in state and own[name] != state[name]]
        if not changed:
            self.schedule.load_state_dict(dict(state))
            return
        optimizer, steps = self.schedule.optimizer, int(state["last_epoch"])
        for group, rate in zip(optimizer.param_groups, self.schedule.get_last_lr(), strict=True):
            group["lr"] = rate
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that no step of the optimizer comes between
            for _ in range(steps):
                self.schedule.step()
        lengths = ", ".join(f"{name} {state[name]} -> {own[name]}" for name in changed)
        rate = self.schedule.get_last_lr()[0]
        logging.getLogger(type(self).__name__).warning(
            f"the learning rate follows a schedule of another length from here ({lengths}): {rate:.3g} at step {steps}"
        )


class TrainerState:
    """Stands for the trainer in a checkpoint, and adds the gradient scaler of automatic mixed precision.

    Without it a resumed run would begin at the scaler's first scale and leave out steps until it has found the right
    one again. A checkpoint from a run without mixed precision leaves the scaler as it is, and a run without mixed
    precision takes a checkpoint with one.
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
