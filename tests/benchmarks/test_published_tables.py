"""The tables of the documents are what the benchmarks make of the figures that are kept beside them."""

import json

import pytest

from benchmarks import (
    GESENET,
    RMR,
    gesenet_ablation,
    gesenet_rivals,
    gesenet_speed,
    rmr_autoencoder,
    rmr_calibration,
    rmr_files,
    rmr_flags,
    rmr_floor,
    rmr_folds,
    rmr_image_quality,
    rmr_lesion_rules,
    rmr_reliability,
    rmr_severity,
    rmr_speed,
    rmr_volume_memory,
)


def rows_of(text):
    """Rows of Markdown tables, without what the first cell says and the rules below the heads."""
    rows = [line.split("|", 2)[2] for line in text.splitlines() if line.startswith("| ")]
    return [" ".join(row.split()) for row in rows]


@pytest.mark.parametrize(
    ("benchmark", "stem", "page", "rows"),
    [
        (gesenet_ablation, "gesenet_ablation", "studies.md", 9),
        (gesenet_rivals, "gesenet_rivals_harvard_benchmark", "studies.md", 7),
        (gesenet_rivals, "gesenet_rivals_harvard_test", "studies.md", 7),
        (gesenet_speed, "gesenet_speed", "speed.md", 15),
        (rmr_files, "rmr_files", "performance.md", 3),
        (rmr_folds, "rmr_folds", "studies.md", 7),
        (rmr_image_quality, "rmr_image_quality", "results.md", 13),
        (rmr_lesion_rules, "rmr_lesion_rules", "performance.md", 8),
        (rmr_severity, "rmr_severity", "studies.md", 9),
    ],
)
def test_rows_of_the_page_are_those_of_the_figures(benchmark, stem, page, rows):
    docs = (GESENET if stem.startswith("gesenet") else RMR) / "docs"
    made = rows_of(benchmark.table(json.loads((docs / "evaluation" / f"{stem}.json").read_text(encoding="utf-8"))))
    assert len(set(made) & set(rows_of((docs / page).read_text(encoding="utf-8")))) == rows


LINES = {
    rmr_autoencoder: "| mahdi_ms5-105755 | reconstruction of clean | 35.84 | 33.04 | 0.9930 |  |",
    rmr_calibration: "| open_ms-07 | 0.0107 | 20768 | 0.58 | 0.03 |",
    rmr_flags: "| 30 | 20 of 20 | 0 of 10 |",
    rmr_floor: "| all | 1783 | 42.4 | 85.3 | 2.01 |",
    rmr_reliability: "| bad (tissues below 0.8 or lesions below 0.5) | 2 of 2 | 5 of 7 |",
    rmr_speed: "| encode_once | 57.0 | 3.36 times as fast | 4.27 |",
    rmr_volume_memory: "| 96 x 96 x 96 | 1.6 | 70 x 70 x 96 | 1.41 | 1.50 |",
}


@pytest.mark.parametrize(("benchmark", "line"), LINES.items())
def test_pages_with_other_rows_are_made_of_these_figures(benchmark, line):
    stem = benchmark.__name__.rpartition(".")[2]
    result = json.loads((RMR / "docs" / "evaluation" / f"{stem}.json").read_text(encoding="utf-8"))
    assert line in benchmark.table(result).splitlines()
