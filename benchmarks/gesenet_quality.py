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

from benchmarks import GESENET, gesenet_jobs
from benchmarks.gesenet_jobs import AS_GIVEN, METHODS, METRICS
from benchmarks.options import quick_run
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.toy_data import write_toy_pictures
from shared_networks.data import resolve_pairs
from shared_networks.nets import GeSeNet
from shared_networks.transforms import LoadFusionPaird
from shared_networks.utils.weights import read_weights

OLDER = {"SD": "SD_8bit", "MI": "MI_8bit", "VIF": "VIF_8bit"}
"""Metrics that have an older form, and its column."""
# SSIM, SCD and Qabf have one definition and count once in each.
COUNTED = (*METRICS, *(OLDER.get(metric, metric) for metric in METRICS))
NOISE, SHIFT = 0.05, 3
DISTURBED = {"noise": {"noise_std": NOISE}, "shift": {"shift": SHIFT}}


def main(arguments: Sequence[str] | None = None) -> dict:
    """Measure, and return what was written as JSON."""
    parser = gesenet_jobs.pairs_parser("gesenet_quality", METHODS, "validation")
    parser.add_argument("--checkpoint", type=Path, default=GESENET / "models" / "model.pt", help="weights to measure")
    given = gesenet_jobs.parse_pairs(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_pictures):
            given.section, given.methods = "test", ["gesenet", AS_GIVEN, "maximum", "guided_filter"]
            return measure(given)
    given.methods = list(dict.fromkeys(["gesenet", *given.methods]))
    return measure(given)


def measure(given: argparse.Namespace) -> dict:
    """Run what is not done yet and report; ``given`` are the options of the command."""
    runs: dict[str, tuple[str, dict[str, Any]]] = {}
    for name in given.methods:
        weights = {"checkpoint": given.checkpoint.resolve()} if name in ("gesenet", AS_GIVEN) else {}
        runs[name] = name, weights
        for kind, strength in DISTURBED.items() if name in ("gesenet", AS_GIVEN, "maximum") else ():
            runs[f"{name}_{kind}"] = name, weights | strength
    pairs, values = gesenet_jobs.measure(given, runs, (*METRICS, *OLDER.values()))
    means = {name: gesenet_jobs.means_of(found) for name, found in values.items()}
    facts = gesenet_jobs.facts_of(given) | {
        "means": means,
        "rows": [*rows(means, given.methods), background_row(given.checkpoint, pairs)],
    }
    stem = f"gesenet_quality_{given.data_name}"
    return write_report("gesenet_quality", given.out, gesenet_jobs.chosen_pairs(given), facts, table, stem)


def rows(means: Mapping[str, Mapping[str, Mapping[str, float]]], names: Sequence[str]) -> list[list[str]]:
    """What is asked, what was measured.

    Args:
        means: method, or method_noise and method_shift -> modality -> metric -> mean over pairs.
        names: methods; the first is the one that is judged.
    """
    ours, rivals = means[names[0]], [name for name in names[1:] if name not in ("released_gesenet", AS_GIVEN)]
    found = []
    if "released_gesenet" in names:
        ratios = _ratios(ours, means["released_gesenet"], COUNTED)
        count = sum(ratio >= 1 for _, ratio in ratios)
        worst = "{1:.3f} ({0})".format(*min(ratios, key=lambda entry: entry[1]))
        found.append(["at least as good as the released weights", f"{count} of {len(ratios)}, worst {worst}"])
    for metric in ("SSIM", "SCD", "Qabf") if rivals else ():
        gaps = {modality: ours[modality][metric] - max(means[r][modality][metric] for r in rivals) for modality in ours}
        found.append([f"{metric} minus the best rival's", _by_modality(gaps, "+.3f")])
    if "guided_filter" in rivals:
        gaps = {modality: ours[modality]["VIF"] / means["guided_filter"][modality]["VIF"] for modality in ours}
        found.append(["VIF over the guided filter's", _by_modality(gaps, ".3f")])
    if AS_GIVEN in names:
        ratios = _ratios(ours, means[AS_GIVEN], list(next(iter(ours.values()))))
        worst = "{1:.4f} ({0})".format(*min(ratios, key=lambda entry: entry[1]))
        found.append(["what both leave of clean pairs' metrics", f"worst {worst}"])
    for kind, metric, title in (("noise", "SSIM", f"noise {NOISE:g}"), ("shift", "Qabf", f"shift {SHIFT} pixels")):
        for name in (names[0], AS_GIVEN, "maximum"):
            if f"{name}_{kind}" in means:
                losses = {m: means[name][m][metric] - means[f"{name}_{kind}"][m][metric] for m in ours}
                mean = f"{fmean(losses.values()):.3f} ({_by_modality(losses, '.3f')})"
                found.append([f"{title}: loss of {metric}, {METHODS[name].title}", mean])
    return found


def _ratios(
    ours: Mapping[str, Mapping[str, float]], theirs: Mapping[str, Mapping[str, float]], metrics: Sequence[str]
) -> list[tuple[str, float]]:
    """Ours over theirs, by modality and metric."""
    return [
        (f"{modality} {metric}", ours[modality][metric] / theirs[modality][metric])
        for modality in ours
        for metric in metrics
    ]


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
    return markdown_table(["quality", "measured"], result["rows"])


if __name__ == "__main__":
    print_report(main, table)
