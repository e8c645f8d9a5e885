"""A running mean of the trained weights."""

import copy
from typing import Any

import torch
from ignite.engine import Engine, Events


class WeightAverage:
    """Exponential moving average of a network's weights, which validates and generalises better than the last ones.

    Ignite's ``EMAHandler`` averages frozen weights too, which then drift by rounding; here they stay bit-identical,
    as those of RMR-Fusion's stage 1 must. The average starts at the first iteration, after checkpoints were loaded, and
    follows faster in the beginning: ``min(momentum, (1 + n) / (10 + n))`` of it is kept in iteration n.

    Args:
        network: the network in training; the module inside where it is wrapped for several processes.
        momentum: what is kept of the average in one iteration, in [0, 1).
    """

    def __init__(self, network: torch.nn.Module, momentum: float = 0.99) -> None:
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum must be in [0, 1), got {momentum!r}.")
        self.network = network
        self.momentum = momentum
        self.count = 0
        self.average = copy.deepcopy(getattr(network, "module", network)).requires_grad_(False).eval()

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.ITERATION_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def state_dict(self) -> dict[str, Any]:
        """The average and the number of iterations in it."""
        return {"count": self.count, "average": self.average.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore :meth:`state_dict`."""
        self.count = int(state["count"])
        self.average.load_state_dict(state["average"])

    def _start(self, engine: Engine) -> None:
        if self.count == 0:
            self.average.load_state_dict(getattr(self.network, "module", self.network).state_dict())

    @torch.no_grad()
    def __call__(self, engine: Engine) -> None:
        keep = min(self.momentum, (1 + self.count) / (10 + self.count))
        self.count += 1
        network = getattr(self.network, "module", self.network)
        for mean, value in zip(self.average.parameters(), network.parameters(), strict=True):
            if value.requires_grad:
                mean.lerp_(value, 1.0 - keep)
        for mean, value in zip(self.average.buffers(), network.buffers(), strict=True):
            mean.copy_(value)
