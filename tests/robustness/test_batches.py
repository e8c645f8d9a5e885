"""Many cases, bad ones among them: finished, reported, resumed after a kill, by several processes at once."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.bundles.bundle_runs import run_workflow

BAD = ("truncated", "no partner", "size", "empty")


def write_cases(folder, count, every=0):
    """``count`` pairs of small pictures; every ``every``-th is bad in one of four ways. Returns the bad names."""
    random = np.random.default_rng(0)
    bad = {}
    for side in ("mri", "other"):
        (folder / side).mkdir(parents=True)
    for number in range(count):
        name = f"{number:03}"
        for side in ("mri", "other"):
            Image.fromarray(random.integers(0, 200, (8, 8), dtype=np.uint8)).save(folder / side / f"{name}.png")
        if every and number % every == every - 1:
            bad[name] = BAD[(number // every) % len(BAD)]
            other = folder / "other" / f"{name}.png"
            if bad[name] == "truncated":
                other.write_bytes(other.read_bytes()[:60])
            elif bad[name] == "no partner":
                other.unlink()
            elif bad[name] == "size":
                Image.fromarray(np.zeros((8, 9), np.uint8)).save(other)
            else:
                other.write_bytes(b"")
    return bad


def report_of(out, name="run_report.json"):
    return json.loads((out / name).read_text(encoding="utf-8"))


def results(out):
    """Bytes of every fused picture, by its case."""
    return {path.parent.name: path.read_bytes() for path in out.glob("*/*_fused.png")}


def command(bundle, checkpoint, folder, out, configs=("inference",), **keys):
    files = [str(bundle / "configs" / f"{name}.json") for name in configs]
    words = ["monai.bundle", "run", "inferring", "--config_file", str(files), "--bundle_root", str(bundle)]
    keys = {"dataset_dir": folder, "output_dir": out, "checkpoint": checkpoint, "batch_size": 1} | keys
    for key, value in keys.items():
        words += [f"--{key}", str(value)]
    return words


def start(words, log):
    """A run in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with log.open("w") as stream:
        return subprocess.Popen([sys.executable, "-m", *words], stdout=stream, stderr=stream, env=environment)


def test_five_hundred_cases_finish_and_the_second_run_does_only_what_is_missing(
    gesenet_bundle, random_checkpoint, tmp_path
):
    bad = write_cases(tmp_path / "data", 500, every=25)
    out = tmp_path / "out"
    keys = {"dataset_dir": tmp_path / "data", "output_dir": out, "checkpoint": random_checkpoint, "device": "cpu"}
    with pytest.raises(SystemExit) as end:
        run_workflow(gesenet_bundle, ["inference"], "infer", **keys, batch_size=25)
    assert end.value.code == 2
    report = report_of(out)
    assert report["complete"] and report["counts"] == {"ok": 480, "warned": 0, "refused": 20, "skipped": 0}
    assert {entry["case"] for entry in report["cases"] if entry["status"] == "refused"} == bad.keys()
    assert len({entry["case"] for entry in report["cases"]}) == 500 and len(results(out)) == 480
    assert len({entry["fingerprint"] for entry in report["cases"] if entry["status"] == "ok"}) == 480

    missing = ["000", "001"]
    for name in missing:
        (out / name / f"{name}_fused.png").unlink()
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*/*.json")}
    with pytest.raises(SystemExit):
        run_workflow(gesenet_bundle, ["inference"], "infer", **keys, batch_size=25)
    assert report_of(out)["counts"] == {"ok": 2, "warned": 0, "refused": 20, "skipped": 478}
    again = {path.parent.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert again == set(missing) and len(results(out)) == 480


def test_a_killed_run_leaves_its_report_and_two_processes_finish_it_together(
    gesenet_bundle, random_checkpoint, tmp_path
):
    data, out, alone = tmp_path / "data", tmp_path / "out", tmp_path / "alone"
    bad = write_cases(data, 40, every=20)
    with pytest.raises(SystemExit):
        keys = {"dataset_dir": data, "output_dir": alone, "checkpoint": random_checkpoint, "device": "cpu"}
        run_workflow(gesenet_bundle, ["inference"], "infer", **keys, batch_size=1)
    expected = results(alone)

    words = command(gesenet_bundle, random_checkpoint, data, out)
    process = start(words, tmp_path / "killed.log")
    deadline = time.monotonic() + 240
    while not (out / "run_report.json").is_file() or len(report_of(out)["cases"]) < 3:
        log = (tmp_path / "killed.log").read_text(encoding="utf-8")
        assert process.poll() is None and time.monotonic() < deadline, log[-2000:]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = report_of(out)
    assert not before["complete"]
    done = {entry["case"] for entry in before["cases"] if entry["status"] == "ok"}
    # What has a report is whole.
    whole = {path.parent.name for path in out.glob("*/*_report.json")}
    assert whole >= done and all(results(out)[name] == expected[name] for name in whole)

    both = [start(words, tmp_path / f"{number}.log") for number in range(2)]
    codes = [process.wait(timeout=300) for process in both]
    assert codes == [2, 2], [(tmp_path / f"{number}.log").read_text(encoding="utf-8")[-2000:] for number in range(2)]
    assert results(out) == expected
    reports = [json.loads(path.read_text(encoding="utf-8")) for path in out.glob("run_report*.json")]
    assert 1 <= len(reports) <= 2
    for report in reports:
        assert report["complete"] and sum(report["counts"].values()) == 40
        assert {entry["case"] for entry in report["cases"] if entry["status"] == "refused"} == bad.keys()
        assert done <= {entry["case"] for entry in report["cases"] if entry["status"] == "skipped"}
    for log in ("0.log", "1.log"):
        assert "Traceback" not in (tmp_path / log).read_text(encoding="utf-8")


def test_two_ranks_share_the_cases_and_the_first_reports(gesenet_bundle, random_checkpoint, tmp_path):
    data, out, alone = tmp_path / "data", tmp_path / "out", tmp_path / "alone"
    bad = write_cases(data, 7, every=4)
    configs = ("inference", "multi_gpu_inference")
    torchrun = ["torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]
    words = torchrun + command(gesenet_bundle, random_checkpoint, data, out, configs)
    assert start(words, tmp_path / "log").wait(timeout=300) != 0  # a case was refused
    with pytest.raises(SystemExit):
        keys = {"dataset_dir": data, "output_dir": alone, "checkpoint": random_checkpoint, "device": "cpu"}
        run_workflow(gesenet_bundle, ["inference"], "infer", **keys)
    text = (tmp_path / "log").read_text(encoding="utf-8")
    assert results(out) == results(alone), text[-2000:]
    assert [path.name for path in out.glob("*.json")] == ["run_report.json"]
    report = report_of(out)
    assert report["complete"] and report["counts"] == {"ok": 6, "warned": 0, "refused": 1, "skipped": 0}
    # The first process has the cases with even numbers.
    assert [entry["case"] for entry in report["cases"]] == ["000", "002", "004", "006", *("001", "003", "005")]
    assert {entry["case"] for entry in report["cases"] if entry["status"] == "refused"} == bad.keys() == {"003"}
    # What one process did is done for another one that is alone.
    with pytest.raises(SystemExit):
        run_workflow(gesenet_bundle, ["inference"], "infer", **keys | {"output_dir": out})
    assert report_of(out)["counts"] == {"ok": 0, "warned": 0, "refused": 1, "skipped": 6}
    for changed in ({"skip_done": False}, {"stretch": True}):
        with pytest.raises(SystemExit):
            run_workflow(gesenet_bundle, ["inference"], "infer", **keys | {"output_dir": out}, **changed)
        assert report_of(out)["counts"] == {"ok": 6, "warned": 0, "refused": 1, "skipped": 0}


@pytest.mark.full
def test_two_ranks_share_volumes_too_and_a_limit_of_memory_refuses_a_case(rmr_bundle, write_rmr_case, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    for number in range(3):
        write_rmr_case(data / f"s{number}", number)
    (data / "s1" / "flair.nii.gz").unlink()
    (data / "list.json").write_text(
        json.dumps([{name: f"s{number}/{name}.nii.gz" for name in ("t1", "flair")} for number in range(3)])
    )
    keys = {"datalist": data / "list.json", "dataset_dir": "", "roi_size": [22, 20, 16]}
    configs = ("inference", "multi_gpu_inference")
    torchrun = ["torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m"]
    words = torchrun + command(rmr_bundle, rmr_bundle / "models" / "model.pt", data, out, configs, **keys)
    words = words[: words.index("--batch_size")] + words[words.index("--batch_size") + 2 :]
    assert start(words, tmp_path / "log").wait(timeout=300) != 0
    report = report_of(out)
    assert report["complete"] and report["counts"] == {"ok": 2, "warned": 0, "refused": 1, "skipped": 0}
    assert [entry["case"] for entry in report["cases"]] == ["s0", "s2", "s1"]
    assert {path.name for path in out.glob("*/*_seg.nii.gz")} == {"s0_seg.nii.gz", "s2_seg.nii.gz"}

    keys |= {"output_dir": out, "device": "cpu", "roi_size": [22, 20, 16]}
    with pytest.raises(SystemExit):
        run_workflow(rmr_bundle, ["inference"], "infer", **keys)
    assert report_of(out)["counts"] == {"ok": 0, "warned": 0, "refused": 1, "skipped": 2}
    with pytest.raises(SystemExit) as end:
        run_workflow(rmr_bundle, ["inference"], "infer", **keys, memory_limit_gb=0.5)
    assert end.value.code == 2
    report = report_of(out)
    assert report["counts"] == {"ok": 0, "warned": 0, "refused": 3, "skipped": 0}
    assert report["cases"][0]["reason"].startswith("22 x 20 x 16 takes about 0.8 GiB of memory even in the smallest")
