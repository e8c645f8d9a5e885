"""Values of a loss's parts for a log, read from the device in one go."""

from typing import Any

import torch


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
