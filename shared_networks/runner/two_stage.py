"""Train both stages of RMR-Fusion one after the other, each by its own config file."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ignite.distributed as idist
from monai.bundle import ConfigParser, ConfigWorkflow, create_workflow

from shared_networks.errors import InputError
from shared_networks.runner.call_stack import calling_frames
from shared_networks.runner.run_check import check_keys
from shared_networks.utils.atomic import atomic_path

_PROGRAM = (
    "imports",
    "import_paths",
    "initialize",
    "run",
    "finalize",
    "training",
    "stages",
    "check_run",
    ConfigParser.meta_key,
)
"""What the launcher has for itself."""


class TwoStages:
    """Both stages as workflows, with the keys that were given for each; a finished first stage is skipped.

    To be made while the launcher's config is initialised: it finds that workflow on the call stack. A key belongs to
    the second stage, ``stage1#key`` to the first one, and a key of ``shared`` to both. All keys, and the data of both
    stages, are checked before the first one begins.

    Beside the first stage's weights a marker, ``autoencoder_complete.json``, holds a hash of its settings and data, and
    its last epoch. A later run with the same settings and data, at most as many epochs, and the weights still there
    skips the stage; any other goes on with it from its own checkpoints. The second stage goes on from its checkpoints
    only when the first one was skipped: they belong to the weights that they were trained on.

    Args:
        folder: of the config files.
        first: file of the first stage, which has ``best_checkpoint``, ``training_origin``, ``max_epochs``.
        second: file of the second stage.
        product: key of the second stage that names the weights of the first one.
        shared: keys of both stages.
        paths: keys of paths, for what is typed on a command line.

    Raises:
        InputError: for keys or data that cannot be used; one line.
    """

    def __init__(
        self, folder: str, first: str, second: str, product: str, shared: Sequence[str], paths: Sequence[str] = ()
    ) -> None:
        self.folder = Path(folder)
        self.product = product
        self.logger = logging.getLogger(type(self).__name__)
        self._files = {1: self.folder / first, 2: self.folder / second}
        stages = {number: ConfigParser.load_config_files(str(path)) for number, path in self._files.items()}
        workflow: ConfigWorkflow = calling_frames()[ConfigWorkflow.initialize.__code__].f_locals["self"]
        known = {**stages[2], "stage1": {key: value for key, value in stages[1].items() if key not in shared}}
        check_keys(known, paths)
        given = {key: value for key, value in workflow.parser.get().items() if key not in _PROGRAM}
        first_keys = given.pop("stage1", {}) | {key: given[key] for key in shared if key in given}
        first_keys["output_dir"] = str(Path(str(workflow.parser.get_parsed_content("output_dir"))) / "stage1")
        self._keys = {1: dict(_changed(first_keys, stages[1])), 2: dict(_changed(given, stages[2]))}
        # Looked at before the first stage begins; the weights that the second one needs are not there yet.
        needs = [need for need in stages[2]["check_run"]["required"] if product not in need["any_of"]]
        self._workflow(2, {"check_run#required": needs}).finalize()
        self.first = self._workflow(1)
        self.second: ConfigWorkflow | None = None

    @property
    def marker(self) -> Path:
        """The file that says that the first stage is complete."""
        return self.weights.with_name("autoencoder_complete.json")

    @property
    def weights(self) -> Path:
        """The file that the first stage makes."""
        return Path(self.first.parser.get_parsed_content("best_checkpoint").path)

    def is_complete(self) -> bool:
        """Whether an earlier run finished the first stage with these settings and data."""
        if not self.weights.is_file():
            return False
        try:
            marker = json.loads(self.marker.read_text(encoding="utf-8"))
            return marker["settings"] == self._settings() and marker["max_epochs"] >= self._epochs()
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def run(self) -> None:
        """Train the first stage unless it is complete, then the second.

        Raises:
            InputError: when the first stage ends without weights, because no validation took place.
        """
        skipped = self.is_complete()
        if skipped:
            self.logger.info(f"stage 1 is complete ({self.marker}): skipped")
        else:
            self._train_first()
        keys = {self.product: str(self.weights)} | ({} if skipped else {"resume": False})
        self.first.finalize()
        self.second = self._workflow(2, keys)
        self.second.run()
        self.second.finalize()

    def _train_first(self) -> None:
        self.first.run()
        if not self.weights.is_file():
            raise InputError(
                f"{self.weights}: stage 1 ended without a validation and saved no weights; set its val_interval to at "
                "most its max_epochs."
            )
        # A trainer that was stopped early has not completed the stage.
        epoch = self.first.parser.get_parsed_content("train#trainer").state.epoch
        if epoch < self._epochs() or idist.get_rank() != 0:
            return
        with atomic_path(self.marker) as temporary:
            content = {"settings": self._settings(), "max_epochs": self._epochs()}
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _epochs(self) -> int:
        return int(self.first.parser.get_parsed_content("max_epochs"))

    def _settings(self) -> str:
        origin = self.first.parser.get_parsed_content("training_origin").state_dict()
        return hashlib.sha256(json.dumps(origin, sort_keys=True).encode("utf-8")).hexdigest()

    def _workflow(self, number: int, keys: Mapping[str, Any] | None = None) -> ConfigWorkflow:
        """A stage, initialised."""
        given = {**self._keys[number], **(keys or {}), "check_run#typed": False}
        return create_workflow(config_file=str(self._files[number]), **given)


def _changed(content: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Keys, and values of them, that are not what the files hold."""
    return ((key, value) for key, value in content.items() if key not in files or files[key] != value)
