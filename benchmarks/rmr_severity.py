"""How does RMR-Fusion degrade? Dice and SCD against noise, blur and structure loss, up to 3 times the paper's.

``python -m benchmarks.rmr_severity --dataset_dir BRAINS [--section validation] [--subjects mahdi_ms5]
[--checkpoint FILE] [--head_alone FILE] [--jobs 2] [--work runs/rmr_severity] [--out benchmarks/results]``

Measures weights (those of the bundle by default) with one kind of degradation at a time, and beside them a head that
was trained alone (``head_only.json``), if given. Writes ``rmr_severity.json``, ``.md`` and ``.png``. ``--quick`` does
one strength on made-up volumes.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import RMR
from benchmarks.bundle_jobs import Job, bundle_words, finish, hardware_of_a_run
from benchmarks.case_values import mean_over_cases, read_case_values
from benchmarks.figures import draw_grid, save
from benchmarks.options import make_parser, parse, quick_run
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.rmr_study_plan import list_items
from benchmarks.toy_data import write_toy_brains
from shared_networks.data import resolve_cases

FACTORS = (0, 1, 2, 3)
KINDS = {
    "noise": ("mixture_noise_std", 0.04, "standard deviation of the noise"),
    "blur": ("mixture_blur_sigma", 0.6, "sigma of the blur, voxels"),
    "structure loss": ("mixture_windows", 1, "broken windows"),
}
"""Kind -> (key of evaluate.json, strength in the paper's mixture, label)."""
METRICS = {"Dice_mean": "mean Dice", "Dice_WML": "Dice of WML", "SCD": "SCD"}
_SCD_ONLY = "$@segmentation_metrics | {'SCD': @fusion_metrics#SCD}"


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the sweep and return what it wrote as JSON."""
    parser = make_parser("rmr_severity", "BRAINS", quick="toy budget on made-up data", jobs=True)
    parser.add_argument("--section", default="validation", help="of the data list")
    parser.add_argument("--subjects", default="", help="take subjects whose names start with one of these")
    parser.add_argument("--checkpoint", type=Path, default=RMR / "models" / "model.pt")
    parser.add_argument("--head_alone", type=Path, help="weights of a training with head_only.json")
    given = parse(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_brains):
            given.section, given.subjects = "training", "toy0"
            return _sweep(given, (0, 3), ["--quick"])
    shown = ["--dataset_dir BRAINS"]
    shown += [f"--subjects {given.subjects}"] if given.subjects else []
    shown += ["--checkpoint FILE"] if given.checkpoint != parser.get_default("checkpoint") else []
    shown += ["--head_alone FILE"] if given.head_alone else []
    return _sweep(given, FACTORS, shown)


def _sweep(given: argparse.Namespace, factors: Sequence[int], shown: Sequence[str]) -> dict:
    """Measure what is not measured yet, and write the report; ``shown`` are the words behind the command."""
    work = given.work.resolve()
    cases = resolve_cases(dataset_dir=given.dataset_dir, section=given.section)
    chosen = [case for case in cases if case["case"].startswith(tuple(given.subjects.split(",")))]
    # The name says whom it lists, so that another choice of subjects is another command.
    datalist = work / f"{'_'.join(sorted(case['case'] for case in chosen))}.json"
    work.mkdir(parents=True, exist_ok=True)
    datalist.write_text(json.dumps({"test": list_items(chosen)}, indent=2) + "\n", encoding="utf-8")
    methods = {"ours": ("RMR-Fusion", given.checkpoint, True)}
    if given.head_alone:
        methods["head_alone"] = ("its head alone", given.head_alone, False)
    jobs: dict[tuple[str, str], Job] = {}
    for name, (_, checkpoint, fuses) in methods.items():
        for setting, keys in _settings(factors).items():
            given_keys = keys | {
                "datalist": datalist,
                "section": "test",
                "checkpoint": Path(checkpoint).resolve(),
                "output_dir": work / name / setting,
                "method": name,
                "data_name": "severity",
                "degrade": True,
            }
            given_keys |= {"validate#additional_metrics": _SCD_ONLY} if fuses else {"fusion_metrics": {}}
            configs = ["train", *([] if fuses else ["head_only"]), "evaluate"]
            words = bundle_words(RMR, "evaluating", configs, given_keys)
            jobs[name, setting] = Job(f"{name}/{setting}", words, f"severity_{name}_degraded.csv")
    finish(list(jobs.values()), work, given.jobs, given.threads)
    results: dict[str, dict[str, Any]] = {
        name: {"title": title, "fuses": fuses, "settings": {}} for name, (title, _, fuses) in methods.items()
    }
    for (name, setting), job in jobs.items():
        results[name]["settings"][setting] = read_case_values([work / job.name / job.product])
    facts = {"hardware": hardware_of_a_run(given.jobs, given.threads), "factors": list(factors), "methods": results}
    report = write_report("rmr_severity", given.out, shown, facts, table)
    _draw(report, given.out / "rmr_severity")
    return report


def _settings(factors: Sequence[int]) -> dict[str, dict[str, float]]:
    """Name of a setting -> keys; strength 0 is the same for all kinds, and measured once."""
    nothing: dict[str, float] = {key: 0 for key, *_ in KINDS.values()}
    settings = {"none": nothing}
    for kind, (key, strength, _) in KINDS.items():
        for factor in factors:
            if factor:
                settings[setting_name(kind, factor)] = nothing | {key: type(strength)(round(strength * factor, 6))}
    return settings


def setting_name(kind: str, factor: int) -> str:
    """Name under which a strength of a kind is found in the report."""
    return f"{kind.replace(' ', '_')}_{factor}" if factor else "none"


def _means(result: Mapping[str, Any], kind: str, metric: str) -> dict[str, list[float]]:
    """Title of each method that has the metric -> its mean over the cases for each factor."""
    return {
        entry["title"]: [
            mean_over_cases(entry["settings"][setting_name(kind, factor)][metric]) for factor in result["factors"]
        ]
        for entry in result["methods"].values()
        if metric != "SCD" or entry["fuses"]
    }


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    rows = [
        [kind, label, title, *(f"{mean:.3f}" for mean in means)]
        for kind in KINDS
        for metric, label in METRICS.items()
        for title, means in _means(result, kind, metric).items()
    ]
    columns = ["degradation", "metric", "method", *(f"{factor} x" for factor in result["factors"])]
    subjects = sorted(next(iter(result["methods"].values()))["settings"]["none"]["Dice_mean"])
    return f"{markdown_table(columns, rows)}\n\nMean of {', '.join(subjects)}."


def _draw(result: Mapping[str, Any], path: Path) -> None:
    """Mean Dice and SCD against the strength of each degradation."""
    strengths = {kind: [factor * strength for factor in result["factors"]] for kind, (_, strength, _) in KINDS.items()}
    panels = {
        label: [
            {title: list(zip(places, means, strict=True)) for title, means in _means(result, kind, metric).items()}
            for kind, places in strengths.items()
        ]
        for metric, label in METRICS.items()
    }
    below = [f"{label} (paper: {strength:g})" for _, strength, label in KINDS.values()]
    figure, grid = draw_grid(panels, below, list(KINDS))
    for axes, places in zip(grid[-1], strengths.values(), strict=True):
        axes.set_xticks(places)
    grid[0, 0].legend(fontsize=9)
    save(figure, path)


if __name__ == "__main__":
    print_report(main, table)
