"""Pass a stage that an earlier run finished."""

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from ignite.engine import Engine

from shared_networks.errors import InputError
from shared_networks.utils.atomic import atomic_path

__all__ = ["StageCompletion"]


class StageCompletion:
    """Run a stage of a training in several stages once, and note that it is complete.

    A marker file holds a hash of the stage's settings and the last epoch. A later run with the same settings, at most
    as many epochs, and the stage's product still there passes the stage; any other trains it (the stage's own
    checkpoints decide where it starts).

    Args:
        path: the marker, JSON.
        product: file that the stage makes; without it the stage is not complete.
        settings: what the result depends on, ready for JSON.
        max_epochs: epochs of the stage.
        name: of the stage, for messages.

    Attributes:
        was_complete: whether the stage was complete when this object was made.
    """

    def __init__(
        self, path: str | Path, product: str | Path, settings: Mapping[str, Any], max_epochs: int, name: str = "stage 1"
    ) -> None:
        self.path, self.product = Path(path), Path(product)
        text = json.dumps(settings, sort_keys=True)
        self.settings_hash = hashlib.sha256(text.encode("utf-8")).hexdigest()
        self.max_epochs = max_epochs
        self.name = name
        self.logger = logging.getLogger(type(self).__name__)
        self.was_complete = self._is_complete()

    def run(self, trainer: Engine) -> None:
        """Run the trainer of the stage, unless the stage was complete already.

        Raises:
            InputError: when the training ends without the product, because no validation took place.
        """
        if self.was_complete:
            self.logger.info(f"{self.name} is complete ({self.path}): passed")
            return
        trainer.run()
        if not self.product.is_file():
            raise InputError(
                f"{self.product}: {self.name} ended without a validation and saved no weights; set its val_interval to "
                "at most its max_epochs."
            )
        # A trainer that was stopped early has not completed the stage.
        if trainer.state.epoch < self.max_epochs or idist.get_rank() != 0:
            return
        marker = {"settings": self.settings_hash, "max_epochs": self.max_epochs}
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")

    def _is_complete(self) -> bool:
        if not self.product.is_file():
            return False
        try:
            marker = json.loads(self.path.read_text(encoding="utf-8"))
            return marker["settings"] == self.settings_hash and marker["max_epochs"] >= self.max_epochs
        except (OSError, ValueError, KeyError, TypeError):
            return False
