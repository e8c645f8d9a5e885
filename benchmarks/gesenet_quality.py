"""What GeSeNet's weights reach: clean pairs against released weights and rivals, noise, a shift, the background.

``python -m benchmarks.gesenet_quality --dataset_dir PAIRS [--section validation] [--released CHECKPOINT]
[--checkpoint model.pt] [--methods gesenet,maximum] [--data_name harvard_validation] [--every 1]
[--jobs 2] [--work runs/gesenet_quality] [--out benchmarks/results]``

``--section validation`` takes the held-out cases of train.json, on which settings are chosen; ``test`` only measures.
``--checkpoint`` measures other weights than the bundle's. Writes ``gesenet_quality_<data_name>.json`` and ``.md``.
``--quick`` measures three methods on made-up pairs.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from benchmarks.bundle_jobs import Job, finish, hardware_of_a_run
from benchmarks.gesenet_jobs import (
    AS_GIVEN,
    BUNDLE,
    METHODS,
    METRICS,
    chosen_pairs,
    evaluation,
    methods_of,
    pairs_parser,
    parse_pairs,
    read_by_modality,
    source_keys,
    write_pair_list,
)
from benchmarks.report import write_report
from benchmarks.study_options import print_study, quick_run
from benchmarks.toy_data import write_toy_pictures
from shared_networks.data import resolve_pairs
from shared_networks.nets import GeSeNet
from shared_networks.transforms import LoadFusionPaird
from shared_networks.utils.weights import read_weights

__all__ = ["main"]

BOTH = (*METRICS, "SD_8bit", "MI_8bit", "VIF_8bit")
"""Columns that are read: the six metrics, and the older form of those that have one."""

DEFINITIONS = (METRICS, ("SSIM", "SD_8bit", "MI_8bit", "VIF_8bit", "SCD", "Qabf"))
NOISE, SHIFT = 0.05, 3


def main(arguments: Sequence[str] | None = None) -> dict:
    """Measure, and return what was written as JSON."""
    parser = pairs_parser("gesenet_quality", METHODS, "validation")
    parser.add_argument("--checkpoint", type=Path, default=BUNDLE / "models" / "model.pt", help="weights to measure")
    given = parse_pairs(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_pictures):
            given.section = "test"
            return measure(given, ["gesenet", AS_GIVEN, "maximum", "guided_filter"])
    return measure(given, list(dict.fromkeys(["gesenet", *methods_of(parser, given.methods, given.released)])))


def measure(given: argparse.Namespace, names: Sequence[str]) -> dict:
    """Run what is not done yet and report; ``given`` are the options of the command."""
    work = given.work.resolve()
    pairs = work / f"{given.data_name}_{given.every}.json"
    write_pair_list(pairs, given.dataset_dir, given.every, given.section)
    own = {"checkpoint": given.checkpoint.resolve()}
    disturbed = {"noise": {"noise_std": NOISE}, "shift": {"shift": SHIFT}}
    jobs: dict[str, Job] = {}
    for name in names:
        keys = source_keys(name, pairs, given.released) | (own if name in ("gesenet", AS_GIVEN) else {})
        jobs[name] = evaluation(name, f"{given.data_name}/{name}", given.data_name, keys, work, metrics=BOTH)
        for kind, strength in disturbed.items() if name in ("gesenet", AS_GIVEN, "maximum") else ():
            folder = f"{given.data_name}/{name}_{kind}"
            configs = ["evaluate_disturbed"]
            jobs[f"{name}_{kind}"] = evaluation(
                name, folder, given.data_name, keys | strength, work, configs, metrics=BOTH
            )
    finish(list(jobs.values()), work, given.jobs, given.threads)
    means = {
        name: {
            modality: {metric: fmean(values) for metric, values in metrics.items()}
            for modality, metrics in read_by_modality([work / job.name / job.product], BOTH).items()
        }
        for name, job in jobs.items()
    }
    facts = {
        "hardware": hardware_of_a_run(given.jobs, given.threads),
        "data": given.data_name,
        "means": means,
        "rows": [*rows(means, names), background_row(given.checkpoint, pairs)],
    }
    shown = chosen_pairs(given, names)
    return write_report("gesenet_quality", given.out, shown, facts, table, f"gesenet_quality_{given.data_name}")


def rows(means: Mapping[str, Mapping[str, Mapping[str, float]]], names: Sequence[str]) -> list[list[str]]:
    """What is asked, what was measured.

    Args:
        means: method, or method_noise and method_shift -> modality -> metric -> mean over pairs.
        names: methods; the first is the one that is judged.
    """
    ours, rivals = means[names[0]], [name for name in names[1:] if name not in ("released_gesenet", AS_GIVEN)]
    found = []
    if "released_gesenet" in names:
        ratios = {
            f"{modality} {metric}": ours[modality][metric] / means["released_gesenet"][modality][metric]
            for modality in ours
            for metrics in DEFINITIONS
            for metric in metrics
        }
        # SSIM, SCD and Qabf have one definition and count once in each.
        count = sum(
            ours[modality][metric] >= means["released_gesenet"][modality][metric]
            for modality in ours
            for metrics in DEFINITIONS
            for metric in metrics
        )
        worst = min(ratios, key=ratios.__getitem__)
        total = len(ours) * sum(len(metrics) for metrics in DEFINITIONS)
        found.append(
            ["at least as good as the released weights", f"{count} of {total}, worst {ratios[worst]:.3f} ({worst})"]
        )
    for metric in ("SSIM", "SCD", "Qabf") if rivals else ():
        gaps = {modality: ours[modality][metric] - max(means[r][modality][metric] for r in rivals) for modality in ours}
        found.append([f"{metric} minus the best rival's", _by_modality(gaps, "+.3f")])
    if "guided_filter" in rivals:
        gaps = {modality: ours[modality]["VIF"] / means["guided_filter"][modality]["VIF"] for modality in ours}
        found.append(["VIF over the guided filter's", _by_modality(gaps, ".3f")])
    if AS_GIVEN in names:
        ratios = {
            f"{modality} {metric}": value / means[AS_GIVEN][modality][metric]
            for modality, metrics in ours.items()
            for metric, value in metrics.items()
        }
        worst = min(ratios, key=ratios.__getitem__)
        found.append(
            [
                "what both leave of clean pairs' metrics",
                f"worst {ratios[worst]:.4f} ({worst})",
            ]
        )
    for kind, metric, title in (("noise", "SSIM", f"noise {NOISE:g}"), ("shift", "Qabf", f"shift {SHIFT} pixels")):
        for name in (names[0], AS_GIVEN, "maximum"):
            if f"{name}_{kind}" in means:
                losses = {m: means[name][m][metric] - means[f"{name}_{kind}"][m][metric] for m in ours}
                mean = f"{fmean(losses.values()):.3f} ({_by_modality(losses, '.3f')})"
                found.append([f"{title}: loss of {metric}, {METHODS[name].title}", mean])
    return found


def _by_modality(values: Mapping[str, float], form: str) -> str:
    return ", ".join(f"{modality} {value:{form}}" for modality, value in values.items())


@torch.no_grad()
def background_row(checkpoint: Path, datalist: Path) -> list[str]:
    """Grey levels of the fused picture where both sources are black: mean over pairs, and the highest."""
    network = GeSeNet(mask_upsampling="bilinear", output_range=(-0.05, 1.05), black_background=True).eval()
    content = read_weights(checkpoint)
    network.load_state_dict(content.get("model", content))
    load = LoadFusionPaird(keys="image")
    levels = []
    for pair in resolve_pairs(datalist=str(datalist)):
        image = torch.as_tensor(load(pair)["image"])[None].float()
        levels.append(255 * network(image)[(image == 0).all(dim=1, keepdim=True)])
    levels = [values for values in levels if values.numel()]
    if not levels:
        return ["black background, grey levels", "no pixel is black in both sources"]
    mean, highest = fmean(float(values.mean()) for values in levels), max(float(values.max()) for values in levels)
    return ["black background, grey levels", f"mean {mean:.3f}, highest {highest:.1f}"]


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    lines = ["| quality | measured |", "|---|---|", *(f"| {' | '.join(row)} |" for row in result["rows"])]
    return "\n".join([*lines, "", f"`{result['command']}` ({result['date']}, {result['hardware']})"]) + "\n"


if __name__ == "__main__":
    print_study(main, table)
