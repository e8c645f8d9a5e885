"""``multi_gpu_*``: a process takes its own GPU before it talks; or else NCCL takes the first one for all of them."""

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from tests.bundles.bundle_runs import LISTS, config_files

ROOT = Path(__file__).resolve().parents[2]
OVERLAYS = [(bundle, names) for bundle, lists in LISTS.items() for names in lists if "multi_gpu" in names]
TALK = ["init_process_group", "all_reduce", "all_gather", "all_gather_object", "barrier", "broadcast"]
FIRST = {"@import_paths", "@check_run", "@reuse_memory"}  # none of which talks


@pytest.mark.parametrize(("bundle", "names"), OVERLAYS)
def test_a_process_takes_its_gpu_before_it_talks(bundle, names, gpu, monkeypatch):
    calls = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: calls.append(f"set_device {device}"))
    for name in (*TALK, "broadcast_object_list"):
        monkeypatch.setattr(torch.distributed, name, lambda *_, _name=name, **__: calls.append(_name))
    monkeypatch.setenv("LOCAL_RANK", "3")
    parser = ConfigParser()
    parser.read_config(config_files(ROOT / bundle, names))
    steps = parser["initialize"]
    assert set(steps[: steps.index("@join_processes")]) <= FIRST
    parser.get_parsed_content("join_processes")
    assert calls[:2] == ["set_device cuda:3", "init_process_group"]
    assert not any(call.startswith("set_device") for call in calls[1:])


def test_every_overlay_for_several_processes_is_looked_at():
    files = {path.stem for name in LISTS for path in (ROOT / name / "configs").glob("multi_gpu_*.json")}
    assert files == {names.rpartition("+")[2] for _, names in OVERLAYS}
