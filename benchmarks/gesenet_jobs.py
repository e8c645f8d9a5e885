"""Evaluations of GeSeNet and of its rivals as jobs, for the studies of the GeSeNet bundle."""

import csv
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import GESENET
from benchmarks.bundle_jobs import Job, bundle_words, finish, hardware_of_a_run
from benchmarks.options import chosen_names, make_parser, parse
from shared_networks.data import resolve_pairs, training_pairs
from shared_networks.errors import InputError

METRICS = ("SSIM", "SD", "MI", "VIF", "SCD", "Qabf")
"""The six metrics of the paper (Section IV-A), standard definitions."""


@dataclass(frozen=True)
class Method:
    """One way to fuse: its title, its configs over evaluate.json, and keys that it changes."""

    title: str
    configs: tuple[str, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)


AS_GIVEN = "gesenet_as_given"
METHODS: dict[str, Method] = {
    "gesenet": Method("GeSeNet, these weights"),
    AS_GIVEN: Method(
        "GeSeNet on pictures as given", keys={"method": AS_GIVEN, "denoise_pictures": False, "align_pictures": False}
    ),
    "released_gesenet": Method("GeSeNet, released weights", ("evaluate_released",)),
    "average": Method("average", ("evaluate_average",)),
    "maximum": Method("maximum", ("evaluate_maximum",)),
    "laplacian_pyramid": Method("Laplacian pyramid", ("evaluate_laplacian_pyramid",)),
    "dual_tree": Method("dual-tree wavelets (DTCWT)", ("evaluate_dual_tree",)),
    "guided_filter": Method("guided filter", ("evaluate_guided_filter",)),
}
"""Methods by the name that ``--methods`` takes and that their tables have."""


def pairs_parser(name: str, methods: Iterable[str], section: str = "test", every: int = 1) -> ArgumentParser:
    """Parser of a study on pairs, with the options that all of them have; the arguments are the defaults."""
    parser = make_parser(name, "PAIRS", quick="toy budget on made-up data", jobs=True)
    parser.add_argument("--section", default=section, choices=["validation", "test"])
    parser.add_argument("--data_name", default="", help="harvard_<section> by default")
    parser.add_argument("--checkpoint", type=Path, help="GeSeNet's weights; those of the bundle by default")
    parser.add_argument("--released", type=Path, help="the authors' checkpoint, converted")
    parser.add_argument("--methods", default=",".join(methods), help=f"of {', '.join(METHODS)}")
    parser.add_argument("--every", type=int, default=every, help="take every so many pairs")
    return parser


def parse_pairs(parser: ArgumentParser, arguments: Sequence[str] | None) -> Namespace:
    """Parse the words of a command of :func:`pairs_parser`, and name the data.

    ``methods`` are a list; the released weights are left out where there is no checkpoint of them.
    """
    given = parse(parser, arguments)
    given.data_name = "toy" if given.quick else given.data_name or f"harvard_{given.section}"
    names = chosen_names(parser, given.methods, METHODS, "method")
    given.methods = [name for name in names if name != "released_gesenet" or given.released]
    return given


def chosen_pairs(given: Namespace) -> list[str]:
    """The words, for a report, that choose data and methods."""
    if given.quick:
        return ["--quick"]
    words = ["--dataset_dir PAIRS", f"--section {given.section}", f"--data_name {given.data_name}"]
    words += ["--checkpoint FILE"] if given.checkpoint else []
    words += ["--released CHECKPOINT"] if "released_gesenet" in given.methods else []
    words += [f"--every {given.every}"] if given.every > 1 else []
    return [*words, f"--methods {','.join(given.methods)}"]


Values = dict[str, dict[str, list[float]]]
"""Modality -> metric -> values in the order of the cases."""


def measure(
    given: Namespace, runs: Mapping[str, tuple[str, Mapping[str, Any]]], metrics: Sequence[str] = METRICS
) -> dict[str, Values]:
    """Evaluate methods on the chosen pairs, as far as it is not done yet; returns the values of each run.

    ``given`` are the options of :func:`pairs_parser`; ``runs`` maps a name to its method and its overrides,
    ``noise_std`` or ``shift`` to disturb the pairs.
    """
    work = given.work.resolve()
    pairs = work / f"{given.data_name}_{given.every}.json"
    write_pair_list(pairs, given.dataset_dir, given.every, given.section)
    chosen = {"gesenet": given.checkpoint, AS_GIVEN: given.checkpoint, "released_gesenet": given.released}
    jobs = {}
    for name, (method, keys) in runs.items():
        weights = {"checkpoint": chosen[method].resolve()} if chosen.get(method) else {}
        every = {"datalist": pairs, **METHODS[method].keys, **weights, **keys}
        configs = ["evaluate_disturbed"] if {"noise_std", "shift"} & set(keys) else []
        folder = f"{given.data_name}/{name}"
        jobs[name] = evaluation(method, folder, given.data_name, every, work, configs, metrics=metrics)
    finish(list(jobs.values()), work, given.jobs, given.threads)
    return {name: read_by_modality([work / job.name / job.product], metrics) for name, job in jobs.items()}


def facts_of(given: Namespace) -> dict[str, Any]:
    """What the reports of all studies on pairs note."""
    return {"hardware": hardware_of_a_run(given.jobs, given.threads), "data": given.data_name}


def means_of(values: Values) -> dict[str, dict[str, float]]:
    """Modality -> metric -> mean over the pairs."""
    return {
        modality: {metric: fmean(column) for metric, column in metrics.items()} for modality, metrics in values.items()
    }


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
    """The job that measures one of :data:`METHODS`.

    ``keys`` overrides evaluate.json: where the pairs are, weights. ``configs`` come behind the method's, ``overlays``
    over train.json shape the network. SSIM, the key metric, must be the first of ``metrics``, else ValueError.
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
    words = bundle_words(GESENET, "evaluating", names, given)
    return Job(folder, words, f"{data_name}_{method}.csv", tuple(needs))


def write_pair_list(path: Path, dataset_dir: str, every: int = 1, section: str = "test") -> int:
    """Write a data list of every so many pairs of a section, in the order of the data; returns their number.

    ``"validation"`` are the cases that train.json holds out of the training section. Raises InputError when there is no
    usable pair.
    """
    if section == "validation":
        held_out = json.loads((GESENET / "configs" / "train.json").read_text("utf-8"))["validation_cases"]
        pairs = training_pairs("validation", dataset_dir=dataset_dir, validation_cases=held_out)
    else:
        pairs = [pair for pair in resolve_pairs(dataset_dir=dataset_dir, section=section) if "refused" not in pair]
    if not pairs:
        raise InputError(f"{dataset_dir}: no usable pairs in {section}.")
    items = []
    for pair in pairs[::every]:
        mri, other = (str(Path(image).resolve()) for image in pair["image"])
        items.append({"mri": mri, "other": other, "modality": pair["modality"], "name": pair["case"]})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"test": items}, indent=2) + "\n", encoding="utf-8")
    return len(items)


def read_by_modality(tables: Iterable[Path], metrics: Sequence[str] = METRICS) -> Values:
    """Values of ``case,modality,metric,...`` tables."""
    found: Values = {}
    for path in tables:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                by_metric = found.setdefault(row["modality"], {name: [] for name in metrics})
                for name in metrics:
                    by_metric[name].append(float(row[name]))
    return found
