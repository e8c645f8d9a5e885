"""Load the weights of a network when a run starts, or say in one line why they do not fit."""

from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events

from shared_networks.utils.weights import load_weights, weights_of

_REFUSAL = (
    "{fault}: weights of another network; give the checkpoint of this config, or the config (overlays, number of "
    "classes) that it was trained with."
)


class WeightsLoader:
    """MONAI's ``CheckpointLoader`` for one network, with errors that a user can read.

    It also takes safetensors, and compares a file of a released bundle with the manifest, see
    :func:`shared_networks.utils.read_weights`. To stand before every handler that writes.

    Args:
        load_path: file with a state dict, or a checkpoint as a training writes it: with one under the key ``model``, or
            with the running mean of the weights, which is taken then.
        network: module that gets the weights; the module inside where it is wrapped for several processes.
        map_location: device of the tensors that are read.
        strict: False takes what fits by name and shape, and the log says what starts afresh: another number of classes,
            another head, a part that the file does not have.

    Raises:
        InputError: when the run starts, for a file that is missing, damaged, holds code, or fits another network.
    """

    def __init__(
        self, load_path: str, network: torch.nn.Module, map_location: Any = "cpu", strict: bool = True
    ) -> None:
        self.load_path = load_path
        self.network = network
        self.map_location = map_location
        self.strict = strict

    def attach(self, engine: Engine) -> None:
        """Attach to an evaluator."""
        engine.add_event_handler(Events.STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Load the weights; on an error the network is unchanged."""
        network = getattr(self.network, "module", self.network)
        afresh = load_weights(network, self.load_path, _REFUSAL, "", _averaged, self.map_location, self.strict)
        engine.logger.info(f"weights of {Path(self.load_path).name} loaded")
        if afresh:
            number = f"{len(afresh)} of {len(network.state_dict())}"
            engine.logger.warning(f"{number} tensors are not in it and start afresh, the first of them {afresh[0]}")


def _averaged(content: Any) -> Any:
    state = weights_of(content)
    if state is not content and "weight_average" in content:
        # What the training validates and keeps, see shared_networks.handlers.WeightAverage.
        state = content["weight_average"]["average"]
    return state
