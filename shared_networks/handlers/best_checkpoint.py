"""Keep the weights of the best validation, across resumed runs."""

import logging
import math
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import torch
from ignite.engine import Engine, Events

from shared_networks.utils.whole_checkpoints import write_checkpoint


class BestCheckpoint:
    """Write the network's state dict whenever the evaluator's key metric improves.

    MONAI's ``CheckpointSaver(save_key_metric=True)`` forgets the best value when a run is resumed, so that the first
    validation after a resume replaces better weights. This one has a ``state_dict`` and is itself stored in the
    training checkpoint.

    Args:
        network: module (DDP wrappers are unwrapped) whose weights are saved.
        path: file to write, a plain state dict; one of another run, or a shipped one, is replaced with a line in the
            log.
        key_metric: name in ``engine.state.metrics``; None takes the evaluator's key metric.
    """

    def __init__(self, network: torch.nn.Module, path: str, key_metric: str | None = None) -> None:
        self.network = network
        self.path = Path(path)
        self.key_metric = key_metric
        self.best_value = -math.inf
        self.best_epoch = 0
        self.logger = logging.getLogger(type(self).__name__)

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator that the trainer's ``ValidationHandler`` runs."""
        engine.add_event_handler(Events.COMPLETED, self)

    def state_dict(self) -> dict[str, Any]:
        """Best value and its epoch, as plain numbers."""
        return {"best_value": self.best_value, "best_epoch": self.best_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.best_value = float(state["best_value"])
        self.best_epoch = int(state["best_epoch"])

    def __call__(self, engine: Engine) -> None:
        name = self.key_metric or engine.state.key_metric_name
        value = float(engine.state.metrics[name])
        if not value > self.best_value:
            return
        is_first = not self.best_epoch
        self.best_value, self.best_epoch = value, engine.state.epoch
        # Every process of a distributed run sees the same gathered metric; one of them writes.
        if idist.get_rank() != 0:
            return
        if is_first and self.path.exists():
            self.logger.warning(f"{self.path}: weights of before are replaced; --ckpt_dir names another folder")
        network = getattr(self.network, "module", self.network)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint({key: tensor.detach().cpu() for key, tensor in network.state_dict().items()}, self.path)
        self.logger.info(f"epoch {self.best_epoch}: {name} {value:.4f} is the best so far, saved {self.path}")
