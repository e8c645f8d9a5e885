"""A case that the machine is too small for is refused; the others are done; a defect ends the run."""

import json

import pytest
import torch

from shared_networks.data import CaseLog
from shared_networks.engines import CaseEvaluator
from shared_networks.errors import InputError
from shared_networks.handlers import BatchReport

ALLOCATOR = RuntimeError("[enforce fail at alloc_cpu.cpp:119] err == 0. DefaultCPUAllocator: can't allocate memory")


class Network(torch.nn.Module):
    """Fails at a batch whose first value is 1."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def forward(self, image):
        if image.flatten()[0] == 1:
            raise self.error
        return image[:, :1]


def evaluate(error, folder, postprocessing=None):
    batches = [
        {"case": ["a"], "image": torch.zeros(1, 2, 3, 4), "fingerprint": ["1"]},
        {"case": ["b", "c"], "image": torch.ones(2, 2, 3, 4), "fingerprint": ["2", "3"]},
        {"case": ["d"], "image": torch.zeros(1, 2, 3, 4), "fingerprint": ["4"]},
    ]
    log = CaseLog()
    evaluator = CaseEvaluator(
        device=torch.device("cpu"),
        val_data_loader=batches,
        network=Network(error),
        postprocessing=postprocessing,
        val_handlers=[BatchReport(log, str(folder))],
    )
    evaluator.run()
    return {entry["case"]: entry for entry in log.entries}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "3 x 4: the memory is too small (MemoryError); set memory_limit_gb to what is free"),
        (ALLOCATOR, "3 x 4: the memory is too small ([enforce fail at"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), "3 x 4: the memory is too small (CUDA out of memory)"),
        (InputError("3 x 4 takes about 9 GiB"), "3 x 4 takes about 9 GiB"),
    ],
)
def test_cases_that_do_not_fit_are_refused_and_the_run_goes_on(error, reason, tmp_path):
    entries = evaluate(error, tmp_path)
    assert {case: entry["status"] for case, entry in entries.items()} == {
        "a": "ok", "b": "refused", "c": "refused", "d": "ok",
    }  # fmt: skip
    assert all(entries[case]["reason"].startswith(reason) for case in "bc")
    assert [entries[case]["fingerprint"] for case in "abcd"] == ["1", "2", "3", "4"]
    assert json.loads((tmp_path / "run_report.json").read_text())["counts"]["refused"] == 2


def test_memory_that_runs_out_after_the_network_refuses_too(tmp_path):
    def postprocess(item):
        if item["case"] == "d":
            raise MemoryError
        return item

    entries = evaluate(MemoryError(), tmp_path, postprocess)
    assert [entry["status"] for entry in entries.values()] == ["ok", "refused", "refused", "refused"]


def test_a_defect_ends_the_run_and_leaves_the_report(tmp_path):
    with pytest.raises(KeyError):
        evaluate(KeyError("a defect"), tmp_path)
    report = json.loads((tmp_path / "run_report.json").read_text())
    assert not report["complete"] and [entry["case"] for entry in report["cases"]] == ["a"]
