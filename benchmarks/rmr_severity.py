"""How does RMR-Fusion degrade? Dice and SCD against noise, blur and structure loss, up to 3 times the paper's.

``python -m benchmarks.rmr_severity --dataset_dir BRAINS [--subjects mahdi_ms5] [--folds 3] [--steps 200]
[--stage1_steps 1000] [--jobs 2] [--work runs/rmr_study] [--out benchmarks/results]``

Takes the networks that ``benchmarks.rmr_study`` has trained with the same options (and trains what is missing), each
measured on the subjects that it has not seen, with one kind of degradation at a time. Writes ``rmr_severity.json``,
``.md`` and ``.png``. ``--quick`` does one strength with toy networks on made-up volumes.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bundle_jobs import finish, hardware_of_a_run
from benchmarks.case_values import mean_over_cases, read_case_values
from benchmarks.figures import draw_severity
from benchmarks.report import write_report
from benchmarks.rmr_study_plan import CONTESTANTS, Budget, evaluation, plan, split, write_datalists
from benchmarks.study_options import BRAINS, chosen_names, parse_study, print_study, quick_run, study_parser
from benchmarks.toy_data import QUICK_BUDGET, QUICK_CONTESTANTS, write_toy_brains

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
    parser = study_parser("rmr_severity", BRAINS, work="rmr_study")
    parser.add_argument("--contestants", default="ours,head_alone", help="those of the study to measure")
    parser.add_argument("--subjects", default="", help="take held-out subjects whose names start with one of these")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=Budget.stage2)
    parser.add_argument("--stage1_steps", type=int, default=Budget.stage1)
    given = parse_study(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_brains):
            given.subjects = "toy0"
            return sweep(*split(given.dataset_dir, 2), QUICK_CONTESTANTS, QUICK_BUDGET, (0, 3), given, ["--quick"])
    names = chosen_names(parser, given.contestants, CONTESTANTS, "contestant")
    unlabelled, held_out = split(given.dataset_dir, given.folds)
    options = f"--folds {given.folds} --steps {given.steps} --stage1_steps {given.stage1_steps}"
    shown = [f"--dataset_dir BRAINS --contestants {given.contestants}"]
    shown += [f"--subjects {given.subjects}"] if given.subjects else []
    shown.append(options)
    budget = Budget(given.stage1_steps, given.steps)
    return sweep(unlabelled, held_out, names, budget, FACTORS, given, shown)


def sweep(
    unlabelled: Sequence[dict],
    held_out: Sequence[Sequence[dict]],
    names: Sequence[str],
    budget: Budget,
    factors: Sequence[int],
    given: argparse.Namespace,
    shown: Sequence[str],
) -> dict:
    """Train what is missing, measure, and write the report.

    Args:
        unlabelled: subjects of stage 1.
        held_out: held-out cases of each fold.
        names: contestants of the study.
        budget: of the trainings.
        factors: strengths, in multiples of the paper's.
        given: ``subjects``, ``work``, ``out``, ``jobs`` and ``threads``.
        shown: words behind the command, for the record.
    """
    work = given.work.resolve()
    write_datalists(work, unlabelled, held_out)
    jobs = [
        job
        for job in plan(names, range(len(held_out)), [0], budget, work)
        if not job.name.endswith(("clean", "degraded"))
    ]
    measured: dict[str, dict[str, list[Path]]] = {name: {} for name in names}
    for fold, cases in enumerate(held_out):
        chosen = {case["case"] for case in cases if case["case"].startswith(tuple(given.subjects.split(",")))}
        content = json.loads((work / f"fold{fold}.json").read_text("utf-8"))
        content["test"] = [item for item in content["test"] if item["subject"] in chosen]
        if not content["test"]:
            continue
        # The name says whom it lists, so that another choice of subjects is another command.
        datalist = work / f"severity_fold{fold}_{'_'.join(sorted(chosen))}.json"
        datalist.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for name in names:
            training = next(job for job in jobs if job.name == f"{name}/fold{fold}_seed0/train")
            for setting, keys in _settings(factors).items():
                keys = {"degrade": True, **keys, "datalist": datalist, "validate#additional_metrics": _SCD_ONLY}
                folder = f"severity/{name}/fold{fold}/{setting}"
                job = evaluation(name, fold, folder, training, keys, budget, work, metrics=True)
                jobs.append(job)
                measured[name].setdefault(setting, []).append(work / job.name / job.product)
    finish(jobs, work, given.jobs, given.threads)
    results = {
        name: {
            "title": CONTESTANTS[name].title,
            "fuses": CONTESTANTS[name].fuses,
            "settings": {setting: read_case_values(tables) for setting, tables in settings.items()},
        }
        for name, settings in measured.items()
    }
    facts = {
        "hardware": hardware_of_a_run(given.jobs, given.threads),
        "factors": list(factors),
        "steps": budget.stage2,
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


def table(result: dict) -> str:
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
    lines += ["", f"Mean of {', '.join(subjects)}, each by the network of the fold that held it out."]
    return "\n".join([*lines, "", f"`{result['command']}` ({result['date']}, {result['hardware']})"]) + "\n"


if __name__ == "__main__":
    print_study(main, table)
