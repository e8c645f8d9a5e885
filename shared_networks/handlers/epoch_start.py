"""What happens when an epoch starts, by its number alone: a checkpoint at its end is enough to resume exactly."""

import random
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd
from monai.utils import MAX_SEED

from shared_networks.data.random_versions import RandomVersions
from shared_networks.utils.memory import return_freed_memory


def epoch_seed(seed: int, epoch: int, rank: int = 0) -> int:
    """Seed of one epoch of one process, spread over the whole range so that neighbours do not share streams."""
    return int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0]) % MAX_SEED


class EpochReseed:
    """Ignite handler that reseeds Python, NumPy, PyTorch and the data set's random transforms from (seed, epoch, rank).

    The state of NumPy's generator cannot be read back under ``weights_only=True``; deriving every epoch's randomness
    from its number makes storing it unnecessary.
    """

    def __init__(self, seed: int, dataset: Any = None, rank: int = 0) -> None:
        self.seed = seed
        self.dataset = dataset
        self.rank = rank

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        seed = epoch_seed(self.seed, engine.state.epoch, self.rank)
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        if self.dataset is not None:
            set_rnd(self.dataset, seed)


class RenewVersions:
    """Let :class:`shared_networks.data.RandomVersions` hold the versions of an epoch when it starts.

    Args:
        versions: the training data set.
    """

    def __init__(self, versions: RandomVersions) -> None:
        self.versions = versions

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        # The versions that went had other sizes than those that come, which do not fit into their gaps.
        return_freed_memory()
        self.versions.renew(engine.state.epoch)
