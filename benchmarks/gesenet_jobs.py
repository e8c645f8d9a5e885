"""Evaluations of GeSeNet and of its rivals as jobs, for the studies of the GeSeNet bundle."""

import csv
import json
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bundle_jobs import ROOT, Job, bundle_words
from benchmarks.study_options import chosen_names
from shared_networks.data import resolve_pairs, training_pairs
from shared_networks.errors import InputError

__all__ = [
    "BUNDLE",
    "METHODS",
    "METRICS",
    "Method",
    "evaluation",
    "methods_of",
    "read_by_modality",
    "source_keys",
    "write_pair_list",
]

BUNDLE = ROOT / "gesenet_bundle"
METRICS = ("SSIM", "SD", "MI", "VIF", "SCD", "Qabf")
"""The six metrics of the paper (Section IV-A), standard definitions."""


@dataclass(frozen=True)
class Method:
    """One way to fuse: its title, and its configs over evaluate.json."""

    title: str
    configs: tuple[str, ...] = ()


METHODS: dict[str, Method] = {
    "gesenet": Method("GeSeNet, these weights"),
    "released_gesenet": Method("GeSeNet, released weights", ("evaluate_released",)),
    "average": Method("average", ("evaluate_average",)),
    "maximum": Method("maximum", ("evaluate_maximum",)),
    "laplacian_pyramid": Method("Laplacian pyramid", ("evaluate_laplacian_pyramid",)),
    "dual_tree": Method("dual-tree wavelets (DTCWT)", ("evaluate_dual_tree",)),
    "guided_filter": Method("guided filter", ("evaluate_guided_filter",)),
}
"""Methods by the name that ``--methods`` takes and that their tables have."""


def evaluation(
    method: str,
    folder: str,
    data_name: str,
    keys: Mapping[str, Any],
    work: Path,
    configs: Sequence[str] = (),
    overlays: Sequence[str] = (),
    needs: Sequence[str] = (),
    metrics: Sequence[str] = METRICS,
) -> Job:
    """The job that measures a method.

    Args:
        method: of :data:`METHODS`.
        folder: name of the job.
        data_name: name of the data in the tables.
        keys: overrides: where the pairs are, weights.
        work: work folder.
        configs: further configs, behind the method's.
        overlays: configs over train.json that shape the network.
        needs: jobs that come before.
        metrics: names in evaluate.json; the first must be SSIM, its key metric.

    Raises:
        ValueError: when SSIM is not the first metric.
    """
    if metrics[0] != "SSIM":
        raise ValueError(f"the first metric must be SSIM, got {metrics[0]}.")
    others = ", ".join(f"'{name}': @validate#additional_metrics#{name}" for name in metrics[1:])
    given: dict[str, Any] = {
        "output_dir": work / folder,
        "data_name": data_name,
        "validate#evaluator#additional_metrics": f"${{{others}}}",
        **keys,
    }
    names = ["train", *overlays, "evaluate", *METHODS[method].configs, *configs]
    words = bundle_words(BUNDLE, "evaluating", names, given)
    return Job(folder, words, f"{data_name}_{method}.csv", tuple(needs))


def methods_of(parser: ArgumentParser, text: str, released: Path | None) -> list[str]:
    """Methods of a comma-separated option; the released weights are left out where there is no checkpoint of them."""
    names = chosen_names(parser, text, METHODS, "method")
    return [name for name in names if name != "released_gesenet" or released]


def source_keys(method: str, pairs: Path, released: Path | None) -> dict[str, Any]:
    """Overrides that every evaluation of a method needs: the data list, and the weights that are not the bundle's."""
    keys: dict[str, Any] = {"datalist": pairs}
    if method == "released_gesenet":
        keys["checkpoint"] = released.resolve()
    return keys


def write_pair_list(path: Path, dataset_dir: str, every: int = 1, section: str = "test") -> int:
    """Write a data list of every so many pairs of a section, in the order of the data; returns their number.

    ``"validation"`` are the cases that train.json holds out of the training section.

    Raises:
        InputError: when the section holds no usable pair.
    """
    if section == "validation":
        held_out = json.loads((BUNDLE / "configs" / "train.json").read_text("utf-8"))["validation_cases"]
        pairs = training_pairs("validation", dataset_dir=dataset_dir, validation_cases=held_out)
    else:
        pairs = [pair for pair in resolve_pairs(dataset_dir=dataset_dir, section=section) if "refused" not in pair]
    chosen = pairs[::every]
    if not chosen:
        raise InputError(f"{dataset_dir}: no usable pairs in {section}.")
    items = [
        {
            "mri": str(Path(pair["image"][0]).resolve()),
            "other": str(Path(pair["image"][1]).resolve()),
            "modality": pair["modality"],
            "name": pair["case"],
        }
        for pair in chosen
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"test": items}, indent=2) + "\n", encoding="utf-8")
    return len(items)


def read_by_modality(tables: Iterable[Path], metrics: Sequence[str] = METRICS) -> dict[str, dict[str, list[float]]]:
    """Values of ``case,modality,metric,...`` tables: modality -> metric -> values in the order of the cases."""
    found: dict[str, dict[str, list[float]]] = {}
    for path in tables:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                by_metric = found.setdefault(row["modality"], {name: [] for name in metrics})
                for name in metrics:
                    by_metric[name].append(float(row[name]))
    return found
