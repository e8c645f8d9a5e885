"""Store weights in half the space: ``python -m shared_networks.utils.half_weights WEIGHTS OUT``."""

import sys
from collections.abc import Mapping, Sequence

import torch

from shared_networks.errors import InputError
from shared_networks.utils.weights import change_tensors, read_weights, weights_of
from shared_networks.utils.whole_checkpoints import write_checkpoint


def half_weights(state: Mapping[str, torch.Tensor], least_elements: int = 20_000) -> dict[str, torch.Tensor]:
    """Round the large floating point tensors of a state dict to float16; other tensors stay.

    Small ones (below ``least_elements``: normalisation, biases, first and last layers) take little space and matter
    most. :func:`shared_networks.utils.weights.read_weights` gives them back in float32, with a relative error of at
    most 2 ** -11. Whether the network's results stay the same has to be measured. Raises InputError, one line, for a
    value that float16 cannot hold.
    """

    def halved(name: str, value: torch.Tensor) -> torch.Tensor:
        return value.half() if value.is_floating_point() and value.numel() >= least_elements else value.clone()

    halves = change_tensors(state, halved)
    for name, value in halves.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise InputError(f"{name}: values beyond 65504 cannot be stored in half precision; store this in float32.")
    return halves


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(arguments) != 2:
            raise InputError("Usage: python -m shared_networks.utils.half_weights WEIGHTS OUT")
        write_checkpoint(half_weights(weights_of(read_weights(arguments[0]))), arguments[1])
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
