"""Do the flags of a finished run find the cases that went wrong?

``python -m benchmarks.rmr_flags --results RESULTS --datalist BRAINS/datalist.json [OTHER/datalist.json]
[--out FOLDER]``

Reads ``cases.csv`` and the label maps of a run of ``inference.json``, and compares them with the labels of the
subjects of the same names in the data lists. A case is bad as in :mod:`benchmarks.rmr_reliability`: mean Dice of the
three tissues below 0.8, or Dice of the lesions below 0.5. Cases without a label are left out. Writes
``rmr_flags.json`` and ``.md``.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.rmr_reliability import hits, is_bad, tissue_dice
from shared_networks.io.file_names import safe_name
from shared_networks.metrics.class_dice import compute_class_dice

CLASSES = ("CSF", "GM", "WM", "WML")
"""Classes 1 to 4 of the labels and of the run's label maps."""


def read_labels(lists: Sequence[Path], section: str = "") -> dict[str, Path]:
    """Subject -> label file, of a section of some data lists; '' takes all."""
    found = {}
    for path in lists:
        sections = json.loads(path.read_text(encoding="utf-8"))
        chosen = [sections[section]] if section else [part for part in sections.values() if isinstance(part, list)]
        items = [item for part in chosen for item in part]
        found |= {item["subject"]: path.parent / item["label"] for item in items if item.get("label")}
    return found


def weights_of(results: Path) -> dict[str, str]:
    """Name and SHA-256 of the weights of a run."""
    return json.loads((results / "run_report.json").read_text(encoding="utf-8"))["weights"]


def compare(found: Path, label: Path) -> dict[str, float]:
    """Dice of each class of :data:`CLASSES` of two label maps on one grid."""
    maps = [torch.from_numpy(np.asarray(nib.load(path).dataobj).astype(np.int64)) for path in (found, label)]
    scores = compute_class_dice(*maps, range(1, len(CLASSES) + 1))
    return dict(zip(CLASSES, scores.tolist(), strict=True))


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_flags")
    parser.add_argument("--results", type=Path, required=True, help="output folder of a run")
    parser.add_argument("--datalist", type=Path, nargs="+", required=True, help="lists with labels of its subjects")
    given = parse(parser, arguments)
    labels = read_labels(given.datalist)
    with (given.results / "cases.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["status"] != "refused" and row["case"] in labels]
    cases = []
    for row in rows:
        name = safe_name(row["case"])
        dice = compare(given.results / name / f"{name}_seg.nii.gz", labels[row["case"]])
        cases.append({"case": row["case"], "dice": dice, "flags": row["flags"].split()})
    weights = weights_of(given.results)
    shown = ["--results RESULTS", "--datalist", *(f"{path.parent.name.upper()}/{path.name}" for path in given.datalist)]
    return write_report("rmr_flags", given.out, shown, {"weights": weights, "cases": cases}, table)


def table(result: dict[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    cases = result["cases"]
    rows = [
        [
            case["case"],
            f"{tissue_dice(case['dice']):.3f}",
            f"{case['dice']['WML']:.3f}",
            "yes" if is_bad(case["dice"]) else "",
            " ".join(case["flags"]),
        ]
        for case in cases
    ]
    found, bad, false, others = hits(cases, lambda case: is_bad(case["dice"]))
    count = [len(cases), f"{found} of {bad}", f"{false} of {others}"]
    tables = [
        markdown_table(["case", "Dice tissues", "Dice lesions", "bad", "flags"], rows),
        markdown_table(["cases", "bad ones flagged", "others flagged"], [count]),
    ]
    return "\n\n".join(tables)


if __name__ == "__main__":
    print_report(main, table)
