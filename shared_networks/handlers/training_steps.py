"""What looks at each step of a training: its gradient, whether its numbers are finite, and the parts of its loss."""

from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines import IterationEvents

from shared_networks.errors import InputError


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


class FiniteTraining:
    """End a training at the first loss or gradient that is NaN or infinite, before the optimiser's step.

    ignite's ``TerminateOnNan`` looks after the step, when the weights are lost, and ends as if all were well.

    Loss and gradients are looked at together, after the backward pass, so that the host waits for a GPU once a step.
    Under automatic mixed precision the gradient scaler leaves out steps with gradients that are not finite, and halves
    its scale; that is normal now and then. There the scale and the weights are looked at every ``interval`` iterations:
    the training ends when the scale has fallen below ``least_scale`` (from 65536 that takes 17 steps left out, in
    a row or nearly so) or a weight is not finite.

    Args:
        network: module whose gradients and weights are looked at.
        interval: iterations from one look to the next under automatic mixed precision; the end of an epoch, before
            its validation and checkpoint, is always looked at.
        least_scale: smallest scale of the gradient scaler that is still sound. Below 1 gradients would have to be made
            smaller to fit into float16.

    Raises:
        InputError: while training; one line with epoch, iteration and the cases of the batch.
    """

    def __init__(self, network: torch.nn.Module, interval: int = 20, least_scale: float = 1.0) -> None:
        self.network = network
        self.interval = interval
        self.least_scale = least_scale

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer, before what writes checkpoints."""
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self._check_step)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._check_scaler)

    def _check_step(self, engine: Engine) -> None:
        if _scales(engine):
            return
        loss = engine.state.output["loss"].detach()
        gradients = [parameter.grad for parameter in self.network.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not torch.isfinite(loss + norm.to(loss.device)):
            is_loss = not torch.isfinite(loss)
            _stop(
                engine,
                f"the loss is {loss.item()}" if is_loss else "a gradient is not finite",
                "this step was not made",
            )

    def _check_scaler(self, engine: Engine) -> None:
        iteration, length = engine.state.iteration, engine.state.epoch_length
        if not _scales(engine) or (iteration % self.interval and iteration % length):
            return
        if not torch.nn.utils.get_total_norm(list(self.network.parameters())).isfinite():
            _stop(engine, "a weight is not finite", "the weights of this run are lost")
        scale = engine.scaler.get_scale()
        if scale < self.least_scale:
            fault = f"loss or gradients overflow step after step: the scale of mixed precision fell to {scale:g}"
            _stop(engine, fault, "those steps were not made; --amp False trains without mixed precision")


class LossParts:
    """``output_transform`` of MONAI's logging handlers: the parts of the last call of a loss as numbers.

    The losses keep their :attr:`parts`, name -> scalar tensor, on the device. Here all of them come over in one
    transfer, and only when the handler logs (its ``iteration_log``): every number that is read makes the host wait for
    a GPU.
    """

    def __init__(self, loss: torch.nn.Module) -> None:
        self.loss = loss

    def __call__(self, output: Any = None) -> dict[str, float]:
        """Return name -> value; the engine's output is not looked at."""
        parts = self.loss.parts
        return dict(zip(parts, torch.stack(list(parts.values())).tolist(), strict=True)) if parts else {}


def _scales(engine: Engine) -> bool:
    """Whether a gradient scaler is at work; on a CPU it is there under ``amp``, but idle."""
    return engine.scaler is not None and engine.scaler.is_enabled()


def _stop(engine: Engine, fault: str, made: str) -> None:
    batch = engine.state.batch
    cases = batch.get("case") if isinstance(batch, dict) else None
    names = ", ".join(map(str, cases)) if cases else "without names"
    raise InputError(
        f"epoch {engine.state.epoch}, iteration {engine.state.iteration}: {fault} (cases: {names}); {made}, "
        "and checkpoints of earlier epochs are whole: look at these images, or lower learning_rate."
    )
