"""The report of a batch, and the bar over its cases, under a real evaluator."""

import json
import os
import time
from unittest import mock

import pytest
import torch
from ignite.engine import Engine
from monai.engines import SupervisedEvaluator
from monai.transforms import Compose

from shared_networks.data import CaseLog, FusionDataset, PairLoader
from shared_networks.errors import InputError
from shared_networks.handlers import BatchReport, CaseProgress
from shared_networks.transforms import LoadFusionPaird


def make(write_picture, noise, tmp_path, bad=(), post=None, count=4, batch_size=2, beside=()):
    data = []
    for number in range(count):
        paths = [write_picture(f"{number}{side}.png", noise((6, 6), number + side)) for side in range(2)]
        if number in bad:
            paths[0].write_bytes(b"")
        data.append({"case": str(number), "image": [str(path) for path in paths]})
    log = CaseLog()
    dataset = FusionDataset(data, LoadFusionPaird())
    report, progress = BatchReport(log, str(tmp_path / "out"), beside=beside), CaseProgress(log, dataset)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=PairLoader(dataset, log, batch_size=batch_size),
        network=torch.nn.Conv2d(2, 1, 1),
        postprocessing=None if post is None else Compose([post]),
        val_handlers=[report, progress],
    )
    return evaluator, log, progress


def read(tmp_path):
    return json.loads((tmp_path / "out" / "run_report.json").read_text())


@pytest.mark.parametrize("batch_size", [1, 2, 8])
@pytest.mark.parametrize("bad", [(), (0,), (3,), (1, 2), (0, 1, 2, 3)])
def test_every_case_is_reported_once(write_picture, noise, tmp_path, batch_size, bad):
    evaluator, log, progress = make(write_picture, noise, tmp_path, bad, batch_size=batch_size)
    evaluator.run()
    report = read(tmp_path)
    assert report["counts"] == {"ok": 4 - len(bad), "warned": 0, "refused": len(bad), "skipped": 0}
    assert sorted(entry["case"] for entry in report["cases"]) == ["0", "1", "2", "3"]
    assert {entry["case"] for entry in report["cases"] if entry["status"] == "refused"} == {str(n) for n in bad}
    assert log.exit_code() == (2 if bad else 0)
    assert progress.bar.total == 4 and progress.bar.n == 4
    assert not (tmp_path / "out" / "run_report.jsonl").exists()


def test_what_could_not_be_saved_is_refused(write_picture, noise, tmp_path):
    def fail_one(data):
        return {**data, "refused": "disk full"} if data["case"] == "2" else data

    evaluator, log, _ = make(write_picture, noise, tmp_path, post=fail_one)
    evaluator.run()
    assert {"case": "2", "status": "refused", "reason": "disk full"} in read(tmp_path)["cases"]
    assert log.count("ok") == 3 and log.exit_code() == 2


def test_a_run_that_breaks_off_leaves_its_report(write_picture, noise, tmp_path):
    def defect(data):
        if data["case"] == "2":
            raise KeyError("a defect")
        return data

    evaluator, _, _ = make(write_picture, noise, tmp_path, post=defect)
    with pytest.raises(RuntimeError):
        evaluator.run()
    assert read(tmp_path)["counts"] == {"ok": 2, "warned": 0, "refused": 0, "skipped": 0}


def test_unwritable_folder_stops_the_run_at_once(write_picture, noise, tmp_path):
    page = mock.Mock()
    evaluator, log, _ = make(write_picture, noise, tmp_path, beside=[page])
    (tmp_path / "out").write_text("a file is in the way")
    with pytest.raises(InputError, match="out: results cannot be written"):
        evaluator.run()
    assert log.entries == [] and page.mock_calls == [], (
        "a page that has no folder would be written into the current one"
    )


@pytest.mark.parametrize(("seconds", "least", "most"), [(1.0, 202, 202), (0.0, 8, 12)])
def test_every_case_has_its_line_at_once_and_the_summary_comes_when_there_is_time(
    tmp_path, monkeypatch, seconds, least, most
):
    """200 cases, by a clock that goes on by 0.01 s when it is read: what a summary takes is a twentieth of 0.2 s."""
    clock, log = [0.0], CaseLog()

    def read_clock():
        clock[0] += 0.01
        return clock[0]

    monkeypatch.setattr(time, "monotonic", read_clock)
    report = BatchReport(log, str(tmp_path))
    summaries = []
    write = report._write
    monkeypatch.setattr(report, "_write", lambda complete: (summaries.append(complete), write(complete)))
    lines = report.path.with_suffix(".jsonl")

    def step(engine, batch):
        clock[0] += seconds
        if log.entries:
            entries = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
            assert entries == log.entries and len(entries) == int(batch[0]["case"])
        return [{}]

    engine = Engine(step)
    report.attach(engine)
    engine.run([[{"case": str(number)}] for number in range(200)])
    assert least <= len(summaries) <= most
    assert len(json.loads(report.path.read_text(encoding="utf-8"))["cases"]) == 200 and not lines.exists()


def test_what_a_killed_run_left_in_the_folders_of_cases_goes(write_picture, noise, tmp_path):
    old = tmp_path / "out" / "done before" / ".writing-x"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    make(write_picture, noise, tmp_path)[0].run()
    assert not old.exists() and old.parent.is_dir()
