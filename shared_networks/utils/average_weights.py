"""Mean of the weights of several checkpoints of one training, or of trainings from the same weights.

``python -m shared_networks.utils.average_weights OUT CHECKPOINT CHECKPOINT [...]``

A checkpoint that is named twice counts twice.
"""

import sys
from collections.abc import Sequence

import torch

from shared_networks.errors import InputError
from shared_networks.utils.atomic import atomic_path
from shared_networks.utils.weights import change_tensors, read_weights, weights_of


def average_weights(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Mean of every floating point entry of state dicts of one network; other entries (counters) are the first one's.

    The mean of checkpoints late in a training lies nearer to the middle of the minimum that they wander about in, and
    usually generalises better (Izmailov et al., UAI 2018). Raises InputError when there is none, or when their keys or
    shapes differ.
    """
    if not states:
        raise InputError("No checkpoint to average: give at least one.")
    shapes = [{key: value.shape for key, value in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes[1:]):
        raise InputError("The checkpoints hold different networks: average checkpoints of one training only.")

    def mean(name: str, value: torch.Tensor) -> torch.Tensor:
        return torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value.clone()

    return change_tensors(states[0], mean)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(arguments) < 2:
            raise InputError("Usage: python -m shared_networks.utils.average_weights OUT CHECKPOINT [CHECKPOINT ...]")
        mean = average_weights([weights_of(read_weights(path)) for path in arguments[1:]])
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    with atomic_path(arguments[0]) as temporary:
        torch.save(mean, temporary)
    return 0


if __name__ == "__main__":
    sys.exit(main())
