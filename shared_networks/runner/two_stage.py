"""Put both stages of RMR-Fusion into one config: ``python -m shared_networks.runner.two_stage <bundle folder>``.

MONAI's configs cannot include each other, so ``two_stage.json`` is made from ``train_autoencoder.json`` and
``train.json`` and kept beside them; run this again after a change of either.
"""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["join_stages", "main", "prefix_references"]

# What both stages take from the top of the file, so that a user gives it once.
SHARED = (
    "imports",
    "import_paths",
    "bundle_root",
    "code_version",
    "reuse_memory",
    "backends",
    "dataset_dir",
    "datalist",
    "validation_subjects",
    "ckpt_dir",
    "resume",
    "device",
    "amp",
    "amp_dtype",
    "cpu_bfloat16",
    "amp_kwargs",
    "tf32",
    "cudnn_benchmark",
    "deterministic",
    "seed",
    "num_workers",
    "pin_memory",
    "log_interval",
    "percentiles",
)
# The whole run has them, a stage does not.
PROGRAM = ("check_run", "initialize", "run", "finalize", "training")
# These say where and how a stage runs, not what comes out of it.
PLACE = (
    "bundle_root",
    "ckpt_dir",
    "output_dir",
    "resume",
    "device",
    "amp",
    "amp_dtype",
    "cpu_bfloat16",
    "tf32",
    "cudnn_benchmark",
    "deterministic",
    "num_workers",
    "pin_memory",
    "log_interval",
    "cache_rate",
    "max_epochs",
)
MARKER = "autoencoder_complete.json"


def prefix_references(config: Any, names: Sequence[str], prefix: str) -> Any:
    """Make ``@name`` into ``@prefix#name`` in every string of a config, for these top-level names.

    Args:
        config: nested dictionaries, lists and values.
        names: ids that move.
        prefix: id that they move under.
    """
    if isinstance(config, str):
        return re.sub(r"@(\w+)", lambda match: f"@{prefix}#{match[1]}" if match[1] in names else match[0], config)
    if isinstance(config, Mapping):
        return {key: prefix_references(value, names, prefix) for key, value in config.items()}
    if isinstance(config, list):
        return [prefix_references(value, names, prefix) for value in config]
    return config


def join_stages(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both stages in one config: the first under ``stage1``, the second under its own ids.

    Args:
        first: content of ``train_autoencoder.json``.
        second: content of ``train.json``.

    Returns:
        A config whose ``run`` trains the first stage unless it is complete already, hands its weights to the second,
        and trains that.
    """
    own = [name for name in first if name not in (*SHARED, *PROGRAM)]
    stage = {name: prefix_references(first[name], own, "stage1") for name in own}
    stage["output_dir"] = "$os.path.join(@output_dir, 'stage1')"
    # Nothing needs to be read for a stage that is passed.
    stage["cache_rate"] = "$0.0 if @stage1_completion.was_complete else @cache_rate"
    stage["training_origin"]["under"] = "stage1"
    # Nothing is resumed in a stage that is passed.
    stage["resume_from"]["_disabled_"] = "$@stage1_completion.was_complete"
    settings = {
        name: f"@stage1#{name}" if name in own else f"@{name}"
        for name, value in first.items()
        if name not in (*PLACE, "imports", *PROGRAM) and _is_plain(value)
    }
    settings["contents"] = "$@stage1#training_origin.state_dict()['contents']"
    joined = {name: value for name, value in second.items() if name not in PROGRAM}
    joined["autoencoder_checkpoint"] = "@stage1#best_checkpoint#path"
    # A checkpoint of the second stage belongs to the first stage that it was trained on.
    joined["resume_from"] = {**second["resume_from"], "_disabled_": "$not @stage1_completion.was_complete"}
    joined["stage1"] = stage
    joined["stage1_completion"] = {
        "_target_": "shared_networks.handlers.StageCompletion",
        "_requires_": "@import_paths",
        "path": f"$os.path.join(@ckpt_dir, '{MARKER}')",
        "product": "@stage1#best_checkpoint#path",
        "settings": settings,
        "max_epochs": "@stage1#max_epochs",
    }
    lists = [f"stage1#{name}" for name in first["check_run"]["not_empty"]]
    joined["check_run"] = {**first["check_run"], "not_empty": lists + second["check_run"]["not_empty"]}
    joined["initialize"] = second["initialize"]
    joined["run"] = [
        "$[handler.attach(@stage1#train#trainer) for handler in @stage1#checkpoint_handlers]",
        "$@stage1_completion.run(@stage1#train#trainer)",
        *second["run"],
    ]
    joined["finalize"] = second["finalize"]
    joined["training"] = second["training"]
    return joined


def _is_plain(value: Any) -> bool:
    """Whether a part of a config is a setting, not made of other parts."""
    text = json.dumps(value)
    return "@" not in text and "_target_" not in text


def main(arguments: Sequence[str] | None = None) -> None:
    """Write ``configs/two_stage.json`` of a bundle."""
    parser = argparse.ArgumentParser(description="Make two_stage.json from train_autoencoder.json and train.json.")
    parser.add_argument("bundle", type=Path, help="folder of the bundle")
    folder = parser.parse_args(arguments).bundle / "configs"
    first, second = (
        json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("train_autoencoder", "train")
    )
    (folder / "two_stage.json").write_text(json.dumps(join_stages(first, second), indent=4) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
