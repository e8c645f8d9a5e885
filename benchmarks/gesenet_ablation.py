"""What do GeSeNet's modules and loss terms do? Equally long trainings without one of them (paper: Tables III, IV).

``python -m benchmarks.gesenet_ablation --dataset_dir PAIRS [--variants complete,without_skip] [--steps 200] [--every 3]
[--jobs 2] [--work runs/gesenet_ablation] [--out benchmarks/results]``

Every variant is trained from scratch by the bundle's train.json and an overlay, for the same steps with the same seed,
and its last weights are measured on every third test pair. Also the share of pixels in the principal regions, where the
masked convolutions have work to do, and the time of a picture. Writes ``gesenet_ablation.json`` and ``.md``.
``--quick`` trains two variants for two steps on made-up pairs.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks import GESENET
from benchmarks.bundle_jobs import Job, bundle_words, finish, hardware_of_a_run
from benchmarks.gesenet_jobs import METRICS, evaluation, means_of, read_by_modality, write_pair_list
from benchmarks.options import chosen_names, make_parser, parse, quick_run
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.toy_data import QUICK_GESENET, write_toy_pictures
from shared_networks.data import resolve_pairs
from shared_networks.nets import GeSeNet
from shared_networks.transforms import LoadFusionPaird
from shared_networks.utils.weights import read_weights

EPOCH = 20
"""Steps of one epoch; the learning rate falls by epochs."""


@dataclass(frozen=True)
class Variant:
    """A network or a loss without something: title, overlay of train.json, and the network's switches."""

    title: str
    overlays: tuple[str, ...] = ()
    switches: Mapping[str, bool] = field(default_factory=dict)


VARIANTS: dict[str, Variant] = {
    "complete": Variant("complete"),
    "without_edge_enhancement": Variant("without E", ("without_edge_enhancement",), {"edge_enhancement": False}),
    "without_region_mask": Variant("without M", ("without_region_mask",), {"region_mask": False}),
    "without_global_refinement": Variant("without R", ("without_global_refinement",), {"global_refinement": False}),
    "without_skip": Variant("without the skip connection", ("without_skip",), {"skip": False}),
    "mask_before_edge": Variant("M before E", ("mask_before_edge",), {"mask_before_edge": True}),
    "without_edge_loss": Variant("without L_E", ("without_edge_loss",)),
    "without_semantic_loss": Variant("without L_S", ("without_semantic_loss",)),
}
"""Variants by the name that ``--variants`` takes."""


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the ablation and return what it wrote as JSON."""
    parser = make_parser("gesenet_ablation", "PAIRS", quick="toy budget on made-up data", jobs=True)
    parser.add_argument("--variants", default=",".join(VARIANTS), help=f"of {', '.join(VARIANTS)}")
    parser.add_argument("--steps", type=int, default=200, help="optimiser steps of every variant")
    parser.add_argument("--every", type=int, default=3, help="measure on every so many test pairs")
    given = parse(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_pictures):
            given.steps, given.every = 2, 1
            return ablate(given, ["complete", "without_region_mask"], QUICK_GESENET)
    return ablate(given, chosen_names(parser, given.variants, VARIANTS, "variant"), {})


def ablate(given: argparse.Namespace, names: Sequence[str], keys: Mapping[str, Any]) -> dict:
    """Train, measure and report; ``keys`` are further overrides of every training."""
    work = given.work.resolve()
    pairs = work / f"test_{given.every}.json"
    write_pair_list(pairs, given.dataset_dir, given.every)
    jobs: list[Job] = []
    results: dict[str, dict] = {}
    for name in names:
        training = _training(name, Path(given.dataset_dir).resolve(), given.steps, keys, work)
        weights = {"datalist": pairs, "checkpoint": work / training.name / training.product, "method": "gesenet"}
        overlays = VARIANTS[name].overlays
        test = evaluation("gesenet", f"{name}/test", "pairs", weights, work, overlays=overlays, needs=[training.name])
        jobs += [training, test]
    finish(jobs, work, given.jobs, given.threads)
    for name, training, test in zip(names, jobs[::2], jobs[1::2], strict=True):
        by_modality = read_by_modality([work / test.name / test.product])
        summary = json.loads((work / test.name / test.product).with_suffix(".json").read_text("utf-8"))
        results[name] = {
            "metrics": means_of(by_modality),
            "seconds_per_image": summary["seconds_per_image"],
            "parameters": summary["parameters"],
            **principal_shares(name, work / training.name / training.product, pairs),
        }
    facts = {
        "hardware": hardware_of_a_run(given.jobs, given.threads),
        "steps": given.steps,
        "pairs": {modality: len(metrics["SSIM"]) for modality, metrics in by_modality.items()},
        "variants": results,
    }
    shown = [f"--dataset_dir PAIRS --steps {given.steps} --every {given.every}"]
    shown += [f"--variants {','.join(names)}"] if len(names) < len(VARIANTS) else []
    return write_report("gesenet_ablation", given.out, ["--quick"] if given.quick else shown, facts, table)


def _training(name: str, dataset_dir: Path, steps: int, keys: Mapping[str, Any], work: Path) -> Job:
    epochs = max(1, steps // EPOCH)
    folder = f"{name}/train"
    given = {
        "dataset_dir": dataset_dir,
        "ckpt_dir": work / folder,
        "output_dir": work / folder / "log",
        "max_epochs": epochs,
        "iterations_per_epoch": min(EPOCH, steps),
        "val_interval": epochs + 1,
        **keys,
    }
    words = bundle_words(GESENET, "training", ["train", *VARIANTS[name].overlays], given)
    return Job(folder, words, f"fusion_checkpoint_epoch={epochs}.pt")


@torch.no_grad()
def principal_shares(name: str, checkpoint: Path, datalist: Path) -> dict[str, float | None]:
    """Share of pixels in the principal regions of both branches, mean over pairs; None where there is no mask."""
    switches = dict(VARIANTS[name].switches)
    if not switches.get("region_mask", True):
        return {"principal_mri": None, "principal_other": None}
    network = GeSeNet(mask_upsampling="bilinear", output_range=(-0.05, 1.05), **switches).eval()
    network.load_state_dict(read_weights(checkpoint)["model"])
    load = LoadFusionPaird(keys="image")
    shares = []
    for pair in resolve_pairs(datalist=str(datalist)):
        image = torch.as_tensor(load(pair)["image"])[None].float()
        shares.append(network(image, return_masks=True)[0, 1:].mean(dim=(1, 2)).tolist())
    mri, other = zip(*shares, strict=True)
    return {"principal_mri": fmean(mri), "principal_other": fmean(other)}


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    # Every modality counts the same, whatever its number of pairs.
    quality = [
        [VARIANTS[name].title, *(f"{fmean(values[m] for values in entry['metrics'].values()):.3f}" for m in METRICS)]
        for name, entry in result["variants"].items()
    ]
    costs = []
    for name, entry in result["variants"].items():
        shares = (entry["principal_mri"], entry["principal_other"])
        share = "no masks" if shares[0] is None else ", ".join(f"{value:.0%}" for value in shares)
        costs.append([VARIANTS[name].title, f"{entry['parameters']:,}", f"{entry['seconds_per_image']:.3f}", share])
    parts = [markdown_table(["variant", *METRICS], quality)]
    parts.append(markdown_table(["variant", "parameters", "s a picture", "principal regions: MRI, other"], costs))
    pairs = ", ".join(f"{modality} {count}" for modality, count in result["pairs"].items())
    how = f"{result['steps']} steps each from scratch, seed 0, weights of the last step"
    return "\n\n".join([*parts, f"{how}; mean of the modalities ({pairs} pairs)."])


if __name__ == "__main__":
    print_report(main, table)
