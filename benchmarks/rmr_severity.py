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

from benchmarks.bundle_jobs import Job, bundle_words, finish, hardware_of_a_run
from benchmarks.case_values import mean_over_cases, read_case_values
from benchmarks.figures import draw_severity
from benchmarks.report import write_report
from benchmarks.rmr_study_plan import BUNDLE, list_items
from benchmarks.study_options import BRAINS, parse_study, print_study, quick_run, study_parser
from benchmarks.toy_data import write_toy_brains
from shared_networks.data import resolve_cases

__all__ = ["KINDS", "main"]

FACTORS = (0, 1, 2, 3)
KINDS = {
    "noise": ("mixture_noise_std", 0.04, "standard deviation of the noise"),
    "blur": ("mixture_blur_sigma", 0.6, "sigma of the blur, voxels"),
    "structure loss": ("mixture_windows", 1, "broken windows"),
}
"""Kind -> (key of evaluate.json, strength in the paper's mixture, label)."""
_SCD_ONLY = "$@segmentation_metrics | {'SCD': @fusion_metrics#SCD}"


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the sweep and return what it wrote as JSON."""
    parser = study_parser("rmr_severity", BRAINS)
    parser.add_argument("--section", default="validation", help="of the data list")
    parser.add_argument("--subjects", default="", help="take subjects whose names start with one of these")
    parser.add_argument("--checkpoint", type=Path, default=BUNDLE / "models" / "model.pt")
    parser.add_argument("--head_alone", type=Path, help="weights of a training with head_only.json")
    given = parse_study(parser, arguments)
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
    jobs: list[Job] = []
    results: dict[str, dict[str, Any]] = {}
    for name, (title, checkpoint, fuses) in methods.items():
        tables = {}
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
            words = bundle_words(BUNDLE, "evaluating", configs, given_keys)
            jobs.append(Job(f"{name}/{setting}", words, f"severity_{name}_degraded.csv"))
            tables[setting] = work / jobs[-1].name / jobs[-1].product
        results[name] = {"title": title, "fuses": fuses, "settings": tables}
    finish(jobs, work, given.jobs, given.threads)
    for entry in results.values():
        entry["settings"] = {setting: read_case_values([path]) for setting, path in entry["settings"].items()}
    facts = {
        "hardware": hardware_of_a_run(given.jobs, given.threads),
        "factors": list(factors),
        "methods": results,
    }
    report = write_report("rmr_severity", given.out, shown, facts, table)
    draw_severity(report, {kind: values[1:] for kind, values in KINDS.items()}, given.out / "rmr_severity")
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


def table(result: Mapping[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    factors = result["factors"]
    lines = [f"| degradation | metric | method | {' | '.join(f'{factor} x' for factor in factors)} |"]
    lines.append("|---" * (len(factors) + 3) + "|")
    for kind in KINDS:
        for metric, title in (("Dice_mean", "mean Dice"), ("Dice_WML", "Dice of WML"), ("SCD", "SCD")):
            for entry in result["methods"].values():
                if metric == "SCD" and not entry["fuses"]:
                    continue
                settings = (entry["settings"][setting_name(kind, factor)] for factor in factors)
                cells = [f"{mean_over_cases(values[metric]):.3f}" for values in settings]
                lines.append(f"| {kind} | {title} | {entry['title']} | {' | '.join(cells)} |")
    subjects = sorted(next(iter(result["methods"].values()))["settings"]["none"]["Dice_mean"])
    lines += ["", f"Mean of {', '.join(subjects)}."]
    return "\n".join([*lines, "", f"`{result['command']}` ({result['date']}, {result['hardware']})"]) + "\n"


if __name__ == "__main__":
    print_study(main, table)
