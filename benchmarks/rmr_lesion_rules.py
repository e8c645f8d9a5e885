"""Which voxels are lesions: the rules after the network, chosen on subjects that the network has not seen.

``python -m benchmarks.rmr_lesion_rules --run LIST WEIGHTS [--run LIST WEIGHTS ...] [--degrade] [--out FOLDER]``

Each run is a data list and weights that were not trained on its section ``validation``. Every network runs once, on
what ``evaluate.json`` gives it; then all combinations of :data:`GRID` are tried on its output. The table has the rules
of ``train.json``, others beside them, and what leaving out one person at a time says of choosing from the grid: the
best combination of the others is measured on that person. ``--persons`` names subjects that are one person.
Writes ``rmr_lesion_rules.json`` (every subject) and ``.md``.
"""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.bundle import ConfigParser

from benchmarks import RMR
from benchmarks.machine import hardware
from benchmarks.report import markdown_table, print_report, write_report
from shared_networks.transforms.lesion_rules import lesion_evidence, lesions_by_rule, probable_lesions, voxel_ml
from shared_networks.utils.weights import load_weights

_LESION, _WHITE = 4, 3
_FEW_ML = 3.0


class Rules(NamedTuple):
    """Keys of ``train.json``; a brightness of None does not count."""

    lesion_threshold: float
    bright_lesion_threshold: float | None = None
    lesion_brightness: float | None = None
    lesion_white_matter: float = 0.0
    smallest_lesion_ml: float = 0.02


GRID = [
    Rules(*values) for values in itertools.product((0.6, 0.7, 0.8, 0.9), (0.1, 0.2, 0.3), (1.5, 2.0, 2.5), (0.5, 0.75))
]
OTHERS = {
    "probability of at least 0.5": Rules(0.5),
    "at least 0.85": Rules(0.85),
    "at least 0.85, 75 % white matter (the rules before)": Rules(0.85, lesion_white_matter=0.75),
    "at least 0.5, 75 % white matter": Rules(0.5, lesion_white_matter=0.75),
}


class Seen(NamedTuple):
    """What the rules need of one subject; arrays are X x Y x Z."""

    probability: np.ndarray
    white_matter: np.ndarray
    brightness: np.ndarray
    brain: np.ndarray
    drawn: np.ndarray
    one_ml: float


def found_lesions(seen: Seen, rules: Rules) -> np.ndarray:
    """The lesions, bool, X x Y x Z, as ``SplitSegmentationd`` finds them."""
    least = rules.lesion_brightness
    thresholds = rules.lesion_threshold, rules.bright_lesion_threshold
    lesion = probable_lesions(seen.probability, seen.brightness, *thresholds, least)
    brightness = None if least is None else seen.brightness
    size, share = rules.smallest_lesion_ml, rules.lesion_white_matter
    found = lesions_by_rule(lesion, seen.white_matter, brightness, seen.one_ml, size, share, least or 0.0)[0]
    return found & seen.brain


def scores(seen: Seen, rules: Rules) -> dict[str, float]:
    """``dice``, and ``volume_error`` as a share of what was drawn."""
    found = found_lesions(seen, rules)
    volume, drawn = np.count_nonzero(found), np.count_nonzero(seen.drawn)
    both = np.count_nonzero(found & seen.drawn)
    return {"dice": 2 * both / max(volume + drawn, 1), "volume_error": abs(volume - drawn) / max(drawn, 1)}


def leave_one_out(
    dice: Mapping[Rules, Mapping[str, float]], persons: Mapping[str, str]
) -> dict[str, tuple[Rules, float]]:
    """For every subject the best rules of the other persons (highest mean), and its own Dice with them."""
    chosen = {}
    for subject in next(iter(dice.values())):
        others = [name for name in persons if persons[name] != persons[subject]]
        best = max(dice, key=lambda rules: fmean(dice[rules][name] for name in others))
        chosen[subject] = (best, dice[best][subject])
    return chosen


@torch.no_grad()
def read_run(datalist: str, weights: Path, degrade: bool) -> Iterator[tuple[str, Seen]]:
    """Name and facts of every validation subject of a list, by the network of ``train.json`` with these weights."""
    parser = ConfigParser()
    parser.read_config([RMR / "configs" / f"{name}.json" for name in ("train", "evaluate")])
    parser.update({"bundle_root": str(RMR), "datalist": datalist, "degrade": degrade})
    network, inferer = parser.get_parsed_content("network"), parser.get_parsed_content("validate#inferer")
    load_weights(network, weights, "not weights of this network ({fault}); give others")
    network.eval()
    back = parser.get_parsed_content("to_brain")
    for item in parser.get_parsed_content("validate#dataset"):
        image = item["image"]
        output = inferer(image[None].as_tensor(), network)[0]
        logits = torch.cat([torch.full_like(output[:1], -torch.inf), output[1:-1]])
        evidence = lesion_evidence(logits, image[1:2].as_tensor(), _LESION)
        facts = torch.cat([evidence.probability, evidence.others == _WHITE, evidence.brightness])
        one_ml, brain = voxel_ml(image), item["brain"][0].numpy() > 0
        image.set_array(facts)
        probability, white_matter, brightness = back.inverse({"image": image})["image"].numpy()
        drawn = item["label"][0].numpy() == _LESION
        yield str(item["case"]), Seen(probability, white_matter > 0, brightness, brain, drawn, one_ml)


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure; returns what is written as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", nargs=2, action="append", required=True, metavar=("LIST", "WEIGHTS"))
    parser.add_argument("--degrade", action="store_true")
    parser.add_argument("--persons", nargs="*", default=[], metavar="A,B", help="subjects that are one person")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args(arguments)
    config = ConfigParser.load_config_file(RMR / "configs" / "train.json")
    shipped = Rules(*(config[key] for key in Rules._fields))
    named = {"the keys of train.json": shipped, **OTHERS}
    tried: dict[Rules, dict[str, dict[str, float]]] = {rules: {} for rules in (*named.values(), *GRID)}
    drawn_ml = {}
    for datalist, weights in given.run:
        for name, seen in read_run(datalist, Path(weights), given.degrade):
            drawn_ml[name] = round(np.count_nonzero(seen.drawn) * seen.one_ml, 2)
            for rules, cases in tried.items():
                cases[name] = scores(seen, rules)
    persons = {name: name for name in drawn_ml}
    for group in given.persons:
        persons |= dict.fromkeys(group.split(","), group)
    grid = {rules: {name: case["dice"] for name, case in tried[rules].items()} for rules in GRID}
    left_out = leave_one_out(grid, persons)
    best = max(grid, key=lambda rules: fmean(grid[rules].values()))
    facts = {
        "hardware": hardware(torch.device("cpu")),
        "drawn_ml": drawn_ml,
        "rules": {name: {"keys": rules._asdict(), "cases": tried[rules]} for name, rules in named.items()},
        "best_of_grid": {"keys": best._asdict(), "cases": tried[best]},
        "left_out": {name: {"keys": rules._asdict(), "dice": dice} for name, (rules, dice) in left_out.items()},
    }
    words = [word for run in given.run for word in ("--run", "LIST", Path(run[1]).name)]
    words += ["--degrade"] * given.degrade + (["--persons", *given.persons] if given.persons else [])
    return write_report("rmr_lesion_rules", given.out, words, facts, table, "rmr_lesion_rules_degraded" * given.degrade)


def table(result: Mapping[str, Any]) -> str:
    """Markdown: mean Dice of lesions over all subjects, and of those with more than 3 ml, and the volume error."""
    many = [name for name, volume in result["drawn_ml"].items() if volume > _FEW_ML]

    def row(title: str, dice: Mapping[str, float], errors: Sequence[float]) -> list[str]:
        error = f"{np.median(errors):.0%}" if errors else ""
        above = f"{fmean(dice[name] for name in many):.3f}" if many else ""
        return [title, f"{fmean(dice.values()):.3f}", above, error]

    rows = []
    for title, tried in (*result["rules"].items(), ("best of the grid", result["best_of_grid"])):
        cases = tried["cases"]
        dice = {name: case["dice"] for name, case in cases.items()}
        rows.append(row(title, dice, [case["volume_error"] for case in cases.values()]))
    rows.append(row("chosen without the person", {name: one["dice"] for name, one in result["left_out"].items()}, []))
    columns = [
        "rules",
        f"Dice of WML, {len(result['drawn_ml'])} visits",
        f"{len(many)} above 3 ml",
        "volume error, median",
    ]
    return markdown_table(columns, rows)


if __name__ == "__main__":
    print_report(main, table)
