"""Limit the norm of the gradient."""

import torch
from ignite.engine import Engine
from monai.engines import IterationEvents


class GradientClip:
    """Clip the total gradient norm after every backward pass; a ``maximal_norm`` of 0 leaves gradients alone.

    With automatic mixed precision the gradients are unscaled first, so that the limit means the same.
    """

    def __init__(self, network: torch.nn.Module, maximal_norm: float) -> None:
        self.network = network
        self.maximal_norm = maximal_norm

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        if self.maximal_norm <= 0:
            return
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.maximal_norm)
