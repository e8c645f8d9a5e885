"""Let the weight of a loss term grow over the first epochs."""

from ignite.engine import Engine, Events
from torch import nn

__all__ = ["WeightRamp"]


class WeightRamp:
    """Set ``loss.<attribute>`` to ``weight * min(1, epoch / epochs)`` at the start of every epoch.

    The value follows from the epoch's number, so that a resumed run has the same one.

    Args:
        loss: loss module that holds the weight.
        attribute: name of the weight.
        weight: final value.
        epochs: epochs until it is reached.
    """

    def __init__(self, loss: nn.Module, attribute: str, weight: float, epochs: int) -> None:
        if not hasattr(loss, attribute):
            raise ValueError(f"{type(loss).__name__} has no weight {attribute!r}.")
        self.loss, self.attribute = loss, attribute
        self.weight, self.epochs = weight, max(1, epochs)

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        setattr(self.loss, self.attribute, self.weight * min(1.0, engine.state.epoch / self.epochs))
