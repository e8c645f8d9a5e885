"""Does mutual reinforcement pay? Cross-validation of RMR-Fusion against its parts (paper: Tables 1, 3 and 5, Fig. 14).

``python -m benchmarks.rmr_study --dataset_dir BRAINS [--contestants ours,head_alone] [--folds 3] [--held_out 0]
[--seeds 0] [--steps 200] [--stage1_steps 1000] [--name rmr_study] [--jobs 2] [--work runs/rmr_study]
[--out benchmarks/results]``

Every contestant is trained on the labelled subjects of all folds but one and measured on the subjects of that one,
clean and degraded by the paper's mixture, with the configs of the bundle. What is done is not run again, what was
interrupted goes on. Writes ``rmr_study.json`` and ``rmr_study.md`` (the values of every subject are in the JSON), the
curves of the losses, ``rmr_study_losses.png``. ``--quick`` runs two folds of two contestants on made-up volumes: it
shows that everything works, and nothing else.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.bundle_jobs import finish, hardware_of_a_run
from benchmarks.case_values import read_case_values
from benchmarks.figures import COLOURS, save
from benchmarks.options import chosen_names, make_parser, parse, quick_run
from benchmarks.report import print_report, write_report
from benchmarks.rmr_study_plan import CONDITIONS, CONTESTANTS, Budget, plan, split, write_datalists
from benchmarks.rmr_study_tables import table
from benchmarks.toy_data import QUICK_BUDGET, QUICK_CONTESTANTS, write_toy_brains
from shared_networks.errors import InputError
from shared_networks.visualize.training_curve import read_scalars

LOSSES = {"L_VF": "visual fusion loss L_VF", "L_LS": "segmentation loss L_LS"}
WINDOW = 20
"""Steps of the moving average of the losses."""
FIRST = ("ours", "head_alone", "without_fusion_loss", "without_segmentation_loss")


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the study and return what it wrote as JSON."""
    parser = make_parser("rmr_study", "BRAINS", quick="toy budget on made-up data", jobs=True)
    parser.add_argument("--contestants", default=",".join(FIRST), help=f"of {', '.join(CONTESTANTS)}")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--held_out", help="numbers of the folds to run, from 0, with commas; all by default")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--name", default="rmr_study", help="of the files that are written")
    parser.add_argument("--steps", type=int, default=Budget.stage2, help="optimiser steps of every contestant")
    parser.add_argument("--stage1_steps", type=int, default=Budget.stage1)
    given = parse(parser, arguments)
    if given.quick:
        with quick_run(given, write_toy_brains):
            given.folds, given.held_out, given.seeds = 2, None, "0"
            return _study(given, QUICK_CONTESTANTS, QUICK_BUDGET)
    names = chosen_names(parser, given.contestants, CONTESTANTS, "contestant")
    return _study(given, names, Budget(given.stage1_steps, given.steps))


def _study(given: argparse.Namespace, names: Sequence[str], budget: Budget) -> dict:
    work = given.work.resolve()
    folds = [int(fold) for fold in given.held_out.split(",")] if given.held_out else list(range(given.folds))
    seeds = [int(seed) for seed in given.seeds.split(",")]
    if not set(folds) <= set(range(given.folds)):
        raise InputError(f"--held_out {given.held_out}: there are folds 0 to {given.folds - 1}.")
    unlabelled, held_out = split(given.dataset_dir, given.folds)
    write_datalists(work, unlabelled, held_out)
    finish(plan(names, folds, seeds, budget, work), work, given.jobs, given.threads)
    results: dict[str, dict] = {}
    for name in names:
        contestant = CONTESTANTS[name]
        places = [(fold, work / name / f"fold{fold}_seed{seed}") for fold in folds for seed in seeds]
        values = {
            condition: read_case_values(
                place / condition / f"fold{fold}_{name}_{condition}.csv" for fold, place in places
            )
            for condition in CONDITIONS
        }
        results[name] = {"title": contestant.title, "segments": contestant.segments, "fuses": contestant.fuses} | values
    facts = {
        "hardware": hardware_of_a_run(given.jobs, given.threads),
        "runs_at_a_time": given.jobs,
        "data": "made-up volumes, the figures mean nothing" if given.quick else "labelled subjects of BRAINS",
        "folds": [[case["case"] for case in held_out[fold]] for fold in folds],
        "folds_of_the_division": given.folds,
        "stage1_subjects": [case["case"] for case in unlabelled],
        "seeds": seeds,
        "stage1_steps": budget.stage1,
        "steps": budget.stage2,
        "contestants": results,
    }
    draw_curves(names, folds, seeds, work, given.out / f"{given.name}_losses")
    options = f"--contestants {','.join(names)} --folds {given.folds} --seeds {given.seeds}"
    options += f" --held_out {given.held_out}" if given.held_out else ""
    options += f" --name {given.name}" if given.name != "rmr_study" else ""
    options += f" --steps {budget.stage2} --stage1_steps {budget.stage1}"
    shown = ["--quick"] if given.quick else ["--dataset_dir BRAINS", options]
    return write_report("rmr_study", given.out, shown, facts, table, given.name)


def draw_curves(names: Sequence[str], folds: Sequence[int], seeds: Sequence[int], work: Path, path: Path) -> None:
    """Curves of L_VF and L_LS of all trainings that have them, as the paper's Fig. 2 shows them.

    ``path`` is without suffix; nothing is written without curves (rivals, which are not trained, have none).
    """
    curves: dict[str, dict[str, list]] = {}
    for name in (name for name in names if not CONTESTANTS[name].rival):
        for folder in (work / name / f"fold{fold}_seed{seed}" / "train" / "log" for fold in folds for seed in seeds):
            for loss, points in read_scalars(folder).items():
                if loss in LOSSES:
                    values = [value for _, value in points]
                    curves.setdefault(LOSSES[loss], {}).setdefault(CONTESTANTS[name].title, []).append(values)
    if not curves:
        return
    titles = list(dict.fromkeys(title for trainings in curves.values() for title in trainings))
    figure = Figure(figsize=(5 * len(curves), 4.2), layout="constrained")
    drawn: dict[str, Any] = {}
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (loss, trainings) in zip(panels, sorted(curves.items()), strict=True):
        for title, of_folds in trainings.items():
            turn, place = divmod(titles.index(title), len(COLOURS))
            style = {"color": COLOURS[place], "linestyle": ("-", "--", ":")[turn % 3]}
            (drawn[title],) = axes.plot(*_smooth(of_folds), **style)
        axes.set(xlabel="step", ylabel=f"mean of {WINDOW} steps and of the folds", title=loss)
        axes.grid(alpha=0.3)
    figure.legend(list(drawn.values()), list(drawn), loc="outside lower center", ncols=4, fontsize=9)
    save(figure, path)


def _smooth(of_folds: Sequence[Sequence[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Steps, and the moving average of the mean over the folds; of fewer steps where a training is short."""
    length = min(len(fold) for fold in of_folds)
    mean = np.mean([fold[:length] for fold in of_folds], axis=0)
    width = min(WINDOW, length)
    return np.arange(width, length + 1), np.convolve(mean, np.full(width, 1 / width), mode="valid")


if __name__ == "__main__":
    print_report(main, table)
