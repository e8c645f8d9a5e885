"""What a training was begun with: a checkpoint goes on with the same only."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ReferenceResolver

from shared_networks.io.content_hash import items_hash
from shared_networks.runner.settings_hash import collect_settings
from shared_networks.utils.hashing import weights_entry

# Whose content, with all that it refers to, decides what a step of a training does.
_SETTINGS = (
    "network_def",
    "loss",
    "loss_function",
    "optimizer",
    "lr_scheduler",
    "train::dataset",
    "train::prepare_batch",
    "train::inferer",
    "gradient_clip",
    "seed",
    "batch_size",
    "iterations_per_epoch",
    "initial_checkpoint",
)
# May change from one run to the next: where and how fast it runs (``network`` is ``network_def``, wrapped or not), how
# long, what is looked at meanwhile; data and files are known by their contents.
_MAY_CHANGE = (
    *("imports", "import_paths", "bundle_root", "code_version", "ckpt_dir", "output_dir", "resume"),
    *("device", "network", "amp", "amp_dtype", "cpu_bfloat16", "num_workers", "version_workers"),
    *("cache_rate", "max_epochs", "val_interval"),
    *("dataset_dir", "datalist", "validation_subjects", "validation_cases", "brain_dir"),
    *("autoencoder_checkpoint", "semantic_checkpoint", "allowed_labels"),
)
_LONGEST = 40
"""Characters of a setting that a message shows."""


class TrainingOrigin:
    """Settings, data and further weights of a training, kept in its checkpoints.

    To be made while a config is resolved, whose settings it collects; it is saved with the checkpoints
    (``state_dict``) and compared by :func:`shared_networks.handlers.newest_checkpoint`. Data and files are read when
    they are first asked for: for the first checkpoint, or for a comparison.

    Args:
        training: items of the training data, see :func:`shared_networks.io.content_hash.items_hash`.
        validation: items of the validation data, which chose the best weights so far.
        files: weights of other networks that the training uses; '' and missing ones count as none.
        also: ids of further settings.
    """

    def __init__(
        self,
        training: Iterable[Mapping[str, Any]] = (),
        validation: Iterable[Mapping[str, Any]] = (),
        files: Sequence[str | Path] = (),
        also: Sequence[str] = (),
    ) -> None:
        self._data = {"training data": training, "validation data": validation}
        self._files = files
        self._contents: dict[str, str] | None = None
        found = collect_settings([*_SETTINGS, *also], _MAY_CHANGE)
        dataset = found.get("train::dataset")
        if isinstance(dataset, dict):  # the items count by what they hold, not by how they are named
            found["train::dataset"] = {key: value for key, value in dataset.items() if key not in ("data", "rank")}
        self._settings = {
            key: json.dumps(value, sort_keys=True, default=str)
            for key, value in found.items()
            if value is not None and not _may_change(key)
        }

    def state_dict(self) -> dict[str, dict[str, str]]:
        """Settings by id, as JSON, and hashes of data and files by name."""
        if self._contents is None:
            hashes = {name: items_hash(items) for name, items in self._data.items()}
            weights = [weights_entry(path) for path in self._files if path]
            self._contents = hashes | {entry["file"]: entry["sha256"] for entry in weights if entry}
        return {"settings": dict(self._settings), "contents": dict(self._contents)}

    def differences(self, state: Mapping[str, Mapping[str, str]]) -> list[str]:
        """What is not as in the :meth:`state_dict` of a checkpoint, a text each; settings first."""
        own = self.state_dict()
        texts = []
        for key in sorted(own["settings"].keys() | state["settings"].keys()):
            before, now = (part["settings"].get(key, "nothing") for part in (state, own))
            if before != now and not _may_change(key):
                short = max(len(before), len(now)) <= _LONGEST
                name = "#".join(ReferenceResolver.split_id(key))
                texts.append(f"{name} was {before} and is {now}" if short else f"{name} is another one")
        for name in own["contents"].keys() | state["contents"].keys():
            if own["contents"].get(name) != state["contents"].get(name):
                texts.append(f"other {name}")
        return texts


def _may_change(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}::") for name in _MAY_CHANGE)
