"""The report of an evaluation of fusion and segmentation, from values that are known."""

import hashlib
import json

import pytest
import torch
from ignite.engine import Engine
from monai.engines import IterationEvents

from shared_networks.errors import InputError
from shared_networks.handlers import SegmentationEvaluationReport
from tests.bundles.bundle_runs import read_table

NAN = float("nan")
DETAILS = {"Dice_GM": [0.8, 0.6, 0.7], "Dice_WML": [0.5, NAN, NAN], "HD95_WML": [NAN, NAN, NAN], "EN": [4.0, 5.0, 6.0]}
PUBLISHED = {"clean": {"Dice_mean": 0.7848, "EN": 4.3779}, "degraded": {"Dice_mean": 0.7573}}


def evaluate(folder, details=DETAILS, **keys):
    """Three cases go through an engine whose metrics are these."""

    def step(engine, batch):
        engine.fire_event(IterationEvents.FORWARD_COMPLETED)
        engine.state.batch = [{"case": f"case {engine.state.iteration}"}]

    engine = Engine(step)
    engine.register_events(*IterationEvents)
    engine.state.metric_details = {name: torch.tensor(values)[:, None] for name, values in details.items()}
    keys = {"method": "ours", "data": "tiny", **keys}
    report = SegmentationEvaluationReport(str(folder), published=PUBLISHED, **keys)
    report.attach(engine)
    engine.run([{"image": torch.zeros(1, 2, 4, 4, 4)}] * 3)
    return report


def test_undefined_values_are_left_out_and_counted(tmp_path):
    evaluate(tmp_path)
    rows = read_table(tmp_path / "tiny_ours_clean.csv")
    assert [row["case"] for row in rows] == ["case 1", "case 2", "case 3"]
    assert list(rows[0]) == ["case", "Dice_GM", "Dice_WML", "Dice_mean", "HD95_WML", "EN"]
    assert [row["Dice_WML"] for row in rows] == ["0.500000", "", ""]
    # The mean of a case is that of the classes it has.
    assert [row["Dice_mean"] for row in rows] == ["0.650000", "0.600000", "0.700000"]
    metrics = json.loads((tmp_path / "tiny_ours_clean.json").read_text())["metrics"]
    assert metrics["Dice_GM"]["mean"] == pytest.approx(0.7)
    assert metrics["Dice_GM"]["sd"] == pytest.approx(0.1)
    assert metrics["Dice_WML"] == {"mean": 0.5, "sd": 0.0, "cases": 1, "undefined": 2}
    assert metrics["HD95_WML"] == {"mean": None, "sd": 0.0, "cases": 0, "undefined": 3}
    # The mean of the classes' means, as tables have it: (0.7 + 0.5) / 2.
    assert metrics["Dice_mean"]["mean"] == pytest.approx(0.6)


def test_conditions_stand_below_each_other_with_the_drop_and_the_papers_figures(tmp_path):
    network = torch.nn.Linear(3, 2)
    network.weight.requires_grad_(False)
    weights = tmp_path / "model.pt"
    weights.write_bytes(b"weights")
    evaluate(tmp_path, network=network, command="run evaluating", checkpoint=str(weights))
    worse = DETAILS | {"Dice_GM": [0.6, 0.4, 0.5]}
    evaluate(tmp_path, worse, condition="degraded")
    lines = [" ".join(line.split()) for line in (tmp_path / "tiny_comparison.md").read_text().splitlines()]
    assert (
        "| ours | clean | 3 | 0.7000 ± 0.1000 | 0.5000 ± 0.0000 (2 without) | 0.6000 ± 0.0500 | none (3 without) |"
        in lines
    )
    assert "| published | clean | | | | 0.7848 | |" in lines
    assert "| ours | degraded | 3 | 5.0000 ± 1.0000 |" in lines
    assert "| published | clean | | 4.3779 |" in lines
    # (0.6 - 0.5) and (0.7848 - 0.7573).
    assert "| ours | 0.1000 |" in lines and "| published | 0.0275 |" in lines
    # Frozen parameters count as well.
    (made,) = [line for line in lines if line.startswith("- ours, clean: `run evaluating`")]
    assert "8 parameters" in made
    assert f", model.pt {hashlib.sha256(b'weights').hexdigest()[:12]}, 8 parameters" in made
    summary = json.loads((tmp_path / "tiny_ours_clean.json").read_text())
    assert summary["weights"] == {"file": "model.pt", "sha256": hashlib.sha256(b"weights").hexdigest()}


def test_a_method_without_segmentation_has_no_row_there(tmp_path):
    evaluate(tmp_path)
    evaluate(tmp_path, {"EN": [1.0, 2.0, 3.0]}, method="average")
    segmentation, fusion = (tmp_path / "tiny_comparison.md").read_text().split("## Fusion")
    assert "| ours | clean |" in segmentation and "average" not in segmentation
    assert "| average | clean | 3 | 2.0000 ± 1.0000 |" in " ".join(fusion.split())


def test_no_drop_without_both_conditions(tmp_path):
    evaluate(tmp_path)
    lines = (tmp_path / "tiny_comparison.md").read_text().splitlines()
    assert not any(line.startswith("| ours | 0") for line in lines)


def test_data_whose_names_begin_alike_and_other_files_stay_apart(tmp_path):
    (tmp_path / "tiny_notes.json").write_text("not JSON")
    (tmp_path / "tiny_list.json").write_text("[1]")
    (tmp_path / "tiny_gesenet.json").write_text('{"method": "gesenet", "data": "tiny", "modalities": {}}')
    evaluate(tmp_path, data="tiny_test", method="theirs")
    evaluate(tmp_path)
    evaluate(tmp_path, data="tiny[1]")
    ours = (tmp_path / "tiny_comparison.md").read_text(encoding="utf-8")
    assert "ours" in ours and "theirs" not in ours and "gesenet" not in ours
    assert "theirs" in (tmp_path / "tiny_test_comparison.md").read_text(encoding="utf-8")
    assert "ours" in (tmp_path / "tiny[1]_comparison.md").read_text(encoding="utf-8")


def test_names_that_would_lose_a_result_are_refused_before_the_run(tmp_path):
    evaluate(tmp_path, data="tiny", method="test_ours")
    evaluate(tmp_path, data="tiny", method="test_ours")  # the same again
    before = (tmp_path / "tiny_test_ours_clean.json").read_bytes()
    with pytest.raises(InputError, match=r"tiny_test_ours_clean.json is of method test_ours on tiny, not of ours on"):
        evaluate(tmp_path, data="tiny_test")
    assert (tmp_path / "tiny_test_ours_clean.json").read_bytes() == before
    for keys in ({"data": "a/b"}, {"data": ""}, {"method": ".."}):
        with pytest.raises(InputError, match=r"(data_name|method) is '.*'; give a name that can be a part of a file"):
            evaluate(tmp_path / "other", **keys)
    assert not (tmp_path / "other").exists()
