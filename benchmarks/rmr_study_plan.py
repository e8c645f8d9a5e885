"""What the cross-validation of RMR-Fusion runs: folds, contestants, and the jobs of each.

Stage 1 is trained once, on the subjects without labels, so that no fold's test subjects have been seen by it. All
contestants of a fold get the same optimiser steps, batches of the same size and the weights of the last step: nothing
is chosen by looking at the held-out subjects.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import RMR
from benchmarks.bundle_jobs import Job, bundle_words
from shared_networks.data import resolve_cases
from shared_networks.data.rmr_cases import MASKS
from shared_networks.errors import InputError

CONDITIONS = ("clean", "degraded")


@dataclass(frozen=True)
class Contestant:
    """One way to train and test.

    Args:
        title: its row in the tables.
        overlays: configs over train.json, by name.
        keys: overrides of the training.
        stage1: overrides of the stage 1 that it builds on; None for none (the head alone).
        segments: its segmentation is trained, so that it is measured.
        fuses: its fused volume is its own, so that it is measured.
        rival: configs over evaluate.json that put a fusion without training in the network's place; () for none.
    """

    title: str
    overlays: tuple[str, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)
    stage1: Mapping[str, Any] | None = field(default_factory=dict)
    segments: bool = True
    fuses: bool = True
    rival: tuple[str, ...] = ()


def _rival(title: str, *evaluation: str) -> Contestant:
    return Contestant(title, stage1=None, segments=False, rival=("evaluate_average", *evaluation))


def _alone(title: str, *overlays: str) -> Contestant:
    return Contestant(f"{title} alone", (*overlays, "head_only"), stage1=None, fuses=False)


HEADS = {"swin_unetr": "Swin UNETR", "unet": "UNet", "ux_net": "3D UX-Net", "hyper_dense": "HyperDenseNet"}
CONTESTANTS: dict[str, Contestant] = {
    "ours": Contestant("RMR-Fusion"),
    "head_alone": _alone("its head"),
    "without_fusion_loss": Contestant("without L_VF", ("without_fusion_loss",), fuses=False),
    "without_segmentation_loss": Contestant("without L_LS", ("without_segmentation_loss",), segments=False),
    "without_feature_loss": Contestant(
        "without L_FR", stage1={"feature_mse": 0.0, "feature_variation": 0.0, "feature_similarity": 0.0}
    ),
    "without_degradations": Contestant("without degradations", stage1={"degradation_probability": 0.0}),
    "without_images": Contestant("head on the fused features alone", keys={"images_to_head": False}),
    "clean_stage2": Contestant("without degradations in stage 2", keys={"degraded_share": 0.0}),
    "tuned_encoders": Contestant("with encoders tuned", ("tune_encoders",)),
    "average": _rival("average"),
    "flair": _rival("FLAIR alone", "evaluate_flair"),
    "maximum": _rival("maximum", "evaluate_maximum"),
    "dual_tree": _rival("3D dual-tree wavelets (DTCWT)", "evaluate_dual_tree"),
    "gesenet": _rival("GeSeNet, slice by slice", "evaluate_gesenet"),
    **{f"{name}_alone": _alone(title, f"head_{name}") for name, title in HEADS.items()},
    **{f"ours_{name}": Contestant(f"RMR-Fusion ({title})", (f"head_{name}",)) for name, title in HEADS.items()},
}
"""Every contestant by the name that ``--contestants`` takes."""
INSIDE_AND_ALONE = {"ours": "head_alone", **{f"ours_{name}": f"{name}_alone" for name in HEADS}}
"""Contestant with a head inside the framework -> the one that is the head alone (Fig. 14)."""


@dataclass(frozen=True)
class Budget:
    """How much is trained: steps of both stages, in epochs of ``epoch`` steps, and any further overrides.

    Args:
        stage1: optimiser steps of stage 1 (batch 2).
        stage2: optimiser steps of every contestant (batch 1).
        epoch: steps of one epoch of stage 2; the learning rate falls by epochs.
        keys1: overrides of every stage 1.
        keys2: overrides of every contestant's training.
        keys_evaluation: overrides of every evaluation.
    """

    stage1: int = 1000
    stage2: int = 200
    epoch: int = 20
    keys1: Mapping[str, Any] = field(default_factory=dict)
    keys2: Mapping[str, Any] = field(default_factory=dict)
    keys_evaluation: Mapping[str, Any] = field(default_factory=lambda: {"roi_size": [96, 96, 32], "overlap": 0.125})


def split(dataset_dir: str, folds: int) -> tuple[list[dict], list[list[dict]]]:
    """Cases without labels, and the held-out cases of each fold of those with labels.

    The labelled persons, sorted by the names of their cases, are dealt out like cards, so that each fold gets some of
    every source; all visits of a person (``person`` of a data list) are in one fold. A test section is not read. Raises
    InputError for fewer labelled subjects than folds, or no unlabelled ones.
    """
    cases = resolve_cases(dataset_dir=dataset_dir, section=["training", "validation", "unlabelled_training"])
    unlabelled = [case for case in cases if "label" not in case]
    labelled = sorted((case for case in cases if "label" in case), key=lambda case: case["case"])
    persons: dict[str, list[dict]] = {}
    for case in labelled:
        persons.setdefault(case.get("person", case["case"]), []).append(case)
    if len(persons) < 2 * folds:
        raise InputError(f"{dataset_dir}: {len(persons)} labelled subjects are too few for {folds} folds.")
    if not unlabelled:
        raise InputError(f"{dataset_dir}: no unlabelled_training section; stage 1 must not see the labelled subjects.")
    visits = list(persons.values())
    return unlabelled, [[case for person in visits[first::folds] for case in person] for first in range(folds)]


def write_datalists(work: Path, unlabelled: Sequence[dict], folds: Sequence[Sequence[dict]]) -> None:
    """Write ``stage1.json`` and ``fold0.json`` ... into the work folder.

    Training needs a validation section: stage 1 validates on a subject that it also trains on (its last weights are
    taken whatever comes out), stage 2 does not get to its validation.

    Raises:
        InputError: when the folder holds another division, whose results would be taken for those of this one.
    """
    lists = {"stage1": {"unlabelled_training": list_items(unlabelled), "validation": list_items(unlabelled[-1:])}}
    for index, held_out in enumerate(folds):
        others = [case for fold in folds if fold is not held_out for case in fold]
        lists[f"fold{index}"] = {
            "training": list_items(others),
            "validation": list_items(others[:1]),
            "test": list_items(held_out),
        }
    work.mkdir(parents=True, exist_ok=True)
    texts = {work / f"{name}.json": json.dumps(content, indent=2) + "\n" for name, content in lists.items()}
    for path, text in texts.items():
        if path.is_file() and path.read_text("utf-8") != text:
            raise InputError(f"{work}: holds a study of other folds or data ({path.name}); give another --work.")
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


def plan(names: Sequence[str], folds: Iterable[int], seeds: Sequence[int], budget: Budget, work: Path) -> list[Job]:
    """The jobs of some contestants in some folds, those that others need first."""
    stages = {name: _stage1(name, budget, work) for name in names if CONTESTANTS[name].stage1 is not None}
    jobs = {stage.name: stage for stage in stages.values()}
    for seed in seeds:
        for fold in folds:
            for name in names:
                place = f"{name}/fold{fold}_seed{seed}"
                training = None
                if not CONTESTANTS[name].rival:
                    training = _training(name, fold, seed, place, stages.get(name), budget, work)
                    jobs[training.name] = training
                for condition in CONDITIONS:
                    test = evaluation(name, fold, f"{place}/{condition}", training, condition, budget, work)
                    jobs[test.name] = test
    return list(jobs.values())


def _stage1(contestant: str, budget: Budget, work: Path) -> Job:
    """Stage 1 of a contestant, which shares it with all that change nothing in it."""
    keys = CONTESTANTS[contestant].stage1
    name = f"stage1_{contestant}" if keys else "stage1"
    given = {
        "datalist": work / "stage1.json",
        "ckpt_dir": work / name,
        "output_dir": work / name / "log",
        "max_epochs": max(1, budget.stage1 // 40),
        "iterations_per_epoch": min(40, budget.stage1),
        "val_interval": 5,
        **budget.keys1,
        **keys,
    }
    product = f"autoencoder_checkpoint_epoch={given['max_epochs']}.pt"
    return Job(name, bundle_words(RMR, "training", ["train_autoencoder"], given), product)


def _training(name: str, fold: int, seed: int, place: str, stage: Job | None, budget: Budget, work: Path) -> Job:
    contestant = CONTESTANTS[name]
    epochs = max(1, budget.stage2 // budget.epoch)
    given: dict[str, Any] = {
        "datalist": work / f"fold{fold}.json",
        "ckpt_dir": work / place / "train",
        "output_dir": work / place / "train" / "log",
        "seed": seed,
        "max_epochs": epochs,
        "iterations_per_epoch": min(budget.epoch, budget.stage2),
        "val_interval": epochs + 1,
        **budget.keys2,
        **contestant.keys,
    }
    if stage is not None:
        given["autoencoder_checkpoint"] = work / stage.name / stage.product
    words = bundle_words(RMR, "training", ["train", *contestant.overlays], given)
    needs = () if stage is None else (stage.name,)
    return Job(f"{place}/train", words, f"rmr_checkpoint_epoch={epochs}.pt", needs)


def evaluation(
    name: str, fold: int, folder: str, training: Job | None, condition: str, budget: Budget, work: Path
) -> Job:
    """The job that measures a contestant on the held-out subjects of a fold, in what it can do.

    ``training`` makes the weights, None for a rival without training; ``condition`` is of :data:`CONDITIONS`; of the
    budget its ``keys_evaluation`` are taken.
    """
    contestant = CONTESTANTS[name]
    given: dict[str, Any] = {
        "datalist": work / f"fold{fold}.json",
        "section": "test",
        "output_dir": work / folder,
        "method": name,
        "data_name": f"fold{fold}",
        **budget.keys_evaluation,
        "degrade": condition == "degraded",
    }
    if training is not None:
        given["checkpoint"] = work / training.name / training.product
    if not contestant.fuses:
        given["fusion_metrics"] = {}
    if not contestant.segments and not contestant.rival:
        given["segmentation_metrics"] = {}
    words = bundle_words(RMR, "evaluating", ["train", *contestant.overlays, "evaluate", *contestant.rival], given)
    needs = () if training is None else (training.name,)
    return Job(folder, words, f"fold{fold}_{name}_{condition}.csv", needs)


def list_items(cases: Sequence[dict]) -> list[dict]:
    """Cases as a data list holds them, with absolute paths."""
    items = []
    for case in cases:
        item = {"subject": case["case"], "image": [str(Path(path).resolve()) for path in case["image"]]}
        for key in ("label", *MASKS):
            if key in case:
                item[key] = str(Path(case[key]).resolve())
        items.append(item)
    return items
