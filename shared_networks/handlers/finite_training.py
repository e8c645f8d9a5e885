"""Stop a training before a loss that is no number reaches the weights."""

import torch
from ignite.engine import Engine
from monai.engines import IterationEvents

from shared_networks.errors import InputError

__all__ = ["FiniteTraining"]


class FiniteTraining:
    """End a training at the first loss or gradient that is NaN or infinite, before the optimiser's step.

    ignite's ``TerminateOnNan`` looks after the step, when the weights are lost, and ends as if all were well. Gradients
    are not looked at under automatic mixed precision, whose scaler leaves out such steps by itself.

    Args:
        network: module whose gradients are looked at.

    Raises:
        InputError: while training; one line with epoch, iteration and the cases of the batch.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self._check_loss)
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self._check_gradients)

    def _check_loss(self, engine: Engine) -> None:
        loss = engine.state.output["loss"]
        if not torch.isfinite(loss):
            _stop(engine, f"the loss is {loss.item()}")

    def _check_gradients(self, engine: Engine) -> None:
        if getattr(engine, "scaler", None) is not None:
            return
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        if not torch.nn.utils.get_total_norm(gradients).isfinite():
            _stop(engine, "a gradient is not finite")


def _stop(engine: Engine, fault: str) -> None:
    batch = engine.state.batch
    cases = batch.get("case") if isinstance(batch, dict) else None
    names = ", ".join(map(str, cases)) if cases else "without names"
    raise InputError(
        f"epoch {engine.state.epoch}, iteration {engine.state.iteration}: {fault} (cases: {names}); this step "
        "was not made, and checkpoints of earlier epochs are whole: look at these images, or lower learning_rate."
    )
