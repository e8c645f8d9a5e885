"""bfloat16 on a CPU."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from monai.inferers import SimpleInferer


def bfloat16_on_cpu(asked: bool, device: torch.device) -> AbstractContextManager:
    """Autocast to bfloat16 where it is asked for on a CPU; elsewhere an autocast of the caller's own stays in force."""
    return torch.autocast("cpu", dtype=torch.bfloat16) if asked and device.type == "cpu" else nullcontext()


class AutocastInferer(SimpleInferer):
    """Run the network as it is, on a CPU under autocast to bfloat16 where ``cpu_bfloat16`` asks for it.

    MONAI's trainer knows mixed precision on CUDA alone. A CPU with instructions for bfloat16 (AVX512_BF16, AMX) does
    convolutions about twice as fast with it; weights, loss and optimiser stay in float32. On a GPU the trainer's own
    ``amp`` counts and this changes nothing.
    """

    def __init__(self, cpu_bfloat16: bool = False) -> None:
        super().__init__()
        self.cpu_bfloat16 = cpu_bfloat16

    def __call__(self, inputs: torch.Tensor, network: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """``network(inputs)``, in bfloat16 where the network computes in it."""
        with bfloat16_on_cpu(self.cpu_bfloat16, inputs.device):
            return super().__call__(inputs, network, *args, **kwargs)
