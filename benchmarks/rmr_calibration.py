"""Is the probability of lesions that RMR-Fusion gives the share of voxels that are lesion?

``python -m benchmarks.rmr_calibration --results RESULTS --datalist BRAINS/datalist.json [--section validation]
[--out FOLDER]``

Reads the ``<case>_lesion_probability.nii.gz`` of a run with ``--lesion_probability True`` and the labels of the same
subjects. The voxels that have a label are sorted into ten bins of probability; in each bin the mean probability is set
against the share of lesion. Writes ``rmr_calibration.json``, ``.md`` and ``.png``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from benchmarks.figures import draw_grid, save
from benchmarks.options import make_parser, parse
from benchmarks.report import markdown_table, print_report, write_report
from benchmarks.rmr_flags import read_labels, weights_of

LESION = 4
BINS = 10
_FEWEST = 50
"""Voxels that a bin must have to be drawn."""


def reliability(probability: np.ndarray, lesion: np.ndarray, bins: int = BINS) -> list[dict[str, float]]:
    """Bins of equal width over [0, 1] that hold voxels, from the lowest.

    Args:
        probability: N values in [0, 1].
        lesion: N values, whether the voxel is lesion.
        bins: their number.

    Returns:
        For each ``voxels``, mean ``probability`` and ``share`` of lesion.
    """
    number = np.minimum((probability * bins).astype(int), bins - 1)
    found = []
    for place in range(bins):
        inside = number == place
        if inside.any():
            means = [float(values[inside].mean()) for values in (probability, lesion)]
            found.append({"voxels": int(inside.sum()), "probability": means[0], "share": means[1]})
    return found


def main(arguments: Sequence[str] | None = None) -> dict:
    """Run the benchmark and return what it wrote as JSON."""
    parser = make_parser("rmr_calibration")
    parser.add_argument("--results", type=Path, required=True, help="output folder of a run")
    parser.add_argument("--datalist", type=Path, required=True, help="list with labels of its subjects")
    parser.add_argument("--section", default="validation", help="part of the list")
    given = parse(parser, arguments)
    cases = {}
    for subject, path in read_labels([given.datalist], given.section).items():
        label = np.asarray(nib.load(path).dataobj)
        found = given.results / subject / f"{subject}_lesion_probability.nii.gz"
        probability = np.asarray(nib.load(found).dataobj)[label > 0]
        cases[subject] = reliability(probability, label[label > 0] == LESION)
    weights = weights_of(given.results)
    shown = ["--results RESULTS --datalist BRAINS/datalist.json"]
    report = write_report("rmr_calibration", given.out, shown, {"weights": weights, "cases": cases}, table)
    draw(report, given.out / "rmr_calibration")
    return report


def table(result: dict[str, Any]) -> str:
    """Markdown of what :func:`main` returns."""
    rows = []
    for case, bins in result["cases"].items():
        voxels = sum(one["voxels"] for one in bins)
        error = sum(one["voxels"] * abs(one["probability"] - one["share"]) for one in bins) / voxels
        middle = [one for one in bins if one["probability"] >= 1 / BINS]
        counted = sum(one["voxels"] for one in middle)
        said, true = (sum(one["voxels"] * one[key] for one in middle) / counted for key in ("probability", "share"))
        rows.append([case, f"{error:.4f}", counted, f"{said:.2f}", f"{true:.2f}"])
    columns = ["subject", "expected error", "voxels of 0.1 or more", "their mean probability", "share of lesion"]
    return markdown_table(columns, rows)


def draw(result: dict[str, Any], path: Path) -> None:
    """Share of lesion against probability, a line a subject."""
    lines = {
        case: [(one["probability"], one["share"]) for one in bins if one["voxels"] >= _FEWEST]
        for case, bins in result["cases"].items()
    }
    figure, grid = draw_grid({"share of voxels drawn as lesion": [lines]}, ["probability of lesion"], size=(5.5, 4.5))
    grid[0, 0].plot((0, 1), (0, 1), color="black", linestyle="--", linewidth=1)
    grid[0, 0].legend(fontsize=9)
    save(figure, path)


if __name__ == "__main__":
    print_report(main, table)
