"""The command for the first minutes on a GPU, rehearsed on a CPU with tiny numbers."""

import json

import pytest
import torch

from benchmarks import GESENET, RMR
from benchmarks.gpu import pack, smoke, timings
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.budget import CALLS, SHARES, SMOKE, WRITING, Budget, schedule
from benchmarks.gpu.measure import Traffic, inference, median_seconds, precisions_of
from benchmarks.gpu.rates import main as look_at_rates
from benchmarks.gpu.report import write_report
from benchmarks.gpu.training import carry_out, rates
from benchmarks.toy_data import write_toy_brains, write_toy_pictures


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    """Brains with a section for validation, and pairs."""
    folder = tmp_path_factory.mktemp("toys")
    brains = write_toy_brains(folder / "brains", labelled=3, unlabelled=0)
    path = brains / "datalist.json"
    items = json.loads(path.read_text())["training"]
    path.write_text(json.dumps({"training": items[:2], "validation": items[2:]}))
    return brains, write_toy_pictures(folder / "pairs")


@pytest.mark.parametrize(("rate", "seconds"), [(5.0, 100.0), (0.2, 60.0), (80.0, 300.0)])
def test_a_schedule_ends_within_its_seconds(rate, seconds):
    steps = schedule(rate, seconds)
    taken = steps["max_epochs"] * steps["iterations_per_epoch"] / rate
    assert taken <= max(0.7 * seconds, 10 / rate) and taken > 0.3 * seconds
    assert steps["max_epochs"] % steps["val_interval"] == 0


def test_the_seconds_of_both_calls_add_up():
    """To what a call and a lent machine may take, with 20 seconds for what is in no row."""
    assert SMOKE + WRITING + sum(SHARES.values()) == CALLS["first call"]
    assert CALLS["first call"] + CALLS["installing"] <= 600 and sum(CALLS.values()) <= 900 - 20
    trainings = ["stage 1", "stage 2", "GeSeNet"]
    assert [name for name in SHARES if name in trainings] == trainings
    assert sum(SHARES[name] for name in trainings) > 0.55 * CALLS["first call"]


def test_what_is_left_is_shared_among_the_phases_to_come(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("benchmarks.gpu.budget.time.monotonic", lambda: now[0])
    budget = Budget(540.0, tmp_path)
    now[0] = SMOKE
    for name, seconds in SHARES.items():
        assert budget.share(name) == pytest.approx(seconds)
        now[0] += seconds
    assert budget.left == pytest.approx(0.0)
    # One that took half as long as it might leaves the rest to all others; the last one may take what there is.
    now[0] = SMOKE + SHARES["rates"] + SHARES["stage 1"] / 2
    more = SHARES["stage 1"] / 2 / (SHARES["stage 2"] + 70 + SHARES["GeSeNet"])
    assert budget.share("stage 2") == pytest.approx(SHARES["stage 2"] * (1 + more))
    now[0] = 400.0
    assert budget.share("GeSeNet") == budget.left == 125.0
    now[0] = 539.0
    assert budget.share("GeSeNet") == 0.0


def test_rates_are_read_by_bundle_and_config(tmp_path):
    assert rates(tmp_path) == {}
    rows = [("train a_bundle train", 3.0), ("train b_bundle train", 9.0)]
    lines = [json.dumps({"what": what, "steps_per_s": rate}) for what, rate in rows]
    (tmp_path / "rates.jsonl").write_text("\n".join(lines))
    assert rates(tmp_path) == {"a_bundle train": 3.0, "b_bundle train": 9.0}


def test_a_recipe_whose_rate_fails_leaves_the_others_theirs(tmp_path, monkeypatch):
    def measured(bundle, config, *_):
        if config == "train_autoencoder":
            raise RuntimeError("no memory\nmore of it")
        return {"what": f"train {bundle.name} {config}", "steps_per_s": 2.0}

    monkeypatch.setattr("benchmarks.gpu.rates.steps_per_second", measured)
    look_at_rates(["--device", "cpu", "--out", str(tmp_path), "--brains", "BRAINS", "--pairs", str(tmp_path)])
    assert 'RuntimeError: no memory"' in (tmp_path / "rates.jsonl").read_text().splitlines()[0]
    assert rates(tmp_path) == {"rmr_fusion_bundle train": 2.0, "gesenet_bundle train": 2.0}


def test_a_phase_is_stopped_at_its_limit_and_the_rest_goes_on(tmp_path):
    budget = Budget(70, tmp_path)
    once = ["timeit", "-n", "1", "-r", "1"]
    assert not budget.run("long", [[*once, "import time; time.sleep(50)"]], most=3.5)
    assert not budget.run("broken", [[*once, "raise ValueError('why')"]], most=30)
    assert budget.run("good", [[*once, "print('fine')"]] * 2, most=30)
    assert not budget.run("late", [once], most=2)
    assert [phase["outcome"] for phase in budget.phases] == ["['out of time']", "[1]", "done", "no time"]
    assert budget.phases[0]["seconds"] < 12
    log = (tmp_path / "log.txt").read_text()
    assert "why" in log and log.count("fine") == 2


def test_a_launcher_gets_the_module_that_it_is_to_start(tmp_path):
    budget = Budget(60, tmp_path, launcher="timeit")
    assert budget.run("launched", [["print('in its', 'place')"]], most=30)
    assert "in its place" in (tmp_path / "log.txt").read_text()


def test_weights_are_carried_out_in_parts_that_are_small_enough(tmp_path):
    (tmp_path / "work" / "rmr").mkdir(parents=True)
    content = bytes(range(256)) * 10 * 1024
    (tmp_path / "work" / "rmr" / "model.pt").write_bytes(content)
    (tmp_path / "work" / "rmr" / "rmr_checkpoint_epoch=1.pt").write_bytes(content)
    carry_out(tmp_path / "work", tmp_path, 1.0)
    parts = sorted(tmp_path.glob("rmr_model.pt*"))
    assert [part.name for part in parts] == [f"rmr_model.pt.part{number}" for number in range(3)]
    assert b"".join(part.read_bytes() for part in parts) == content
    carry_out(tmp_path / "work", tmp_path, 16.0)
    assert (tmp_path / "rmr_model.pt").read_bytes() == content
    assert not list(tmp_path.glob("*checkpoint*"))


def test_the_report_lists_what_failed(tmp_path):
    rows = [{"name": "a", "seconds": 1.0, "error": ""}, {"name": "b", "seconds": 2.0, "error": "ValueError: no"}]
    rows.append({"name": "c", "seconds": 0.0, "error": "", "left_out": "needs a licence"})
    rows = [{**row, "of": 5} for row in rows]
    (tmp_path / "smoke_0.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "timings.jsonl").write_text(json.dumps({"what": "ceilings", "copy_gb_per_s": 9.0, "device": "card X"}))
    assert write_report(tmp_path, [{"phase": "A", "outcome": "done"}])
    text = (tmp_path / "report.md").read_text()
    assert "2 of 5 run, 1 failed, 1 left out, 2 not reached" in text and "card X" in text
    assert "| b | ValueError: no |" in text and "| c | left out: needs a licence |" in text
    (tmp_path / "smoke_0.jsonl").write_text(json.dumps(rows[0]))
    assert not write_report(tmp_path, [{"phase": "A", "outcome": "done"}])


def test_the_smoke_runs_every_config_or_says_why_not(toys, tmp_path):
    runs = list(smoke.runs(*toys, tmp_path))
    named = {(run.bundle, name) for run in runs for name in run.configs}
    left_out = {tuple(text.replace(": ", " + ").split(" + ")) for text in smoke.LEFT_OUT}
    named |= {({RMR.name: RMR, GESENET.name: GESENET}[bundle], name) for bundle, *names in left_out for name in names}
    for bundle in (RMR, GESENET):
        names = {path.stem for path in bundle.glob("configs/*.json")} - {"metadata"}
        assert {name for owner, name in named if owner == bundle} == names
    assert all(run.kind in ("train", "infer") for run in runs)
    assert len({run.name for run in runs}) == len(runs)


def test_what_a_machine_lacks_is_a_reason_to_leave_a_run_out(toys, tmp_path, monkeypatch):
    runs = {run.name: run for run in smoke.runs(*toys, tmp_path)}
    alone, several = (runs[f"rmr_fusion_bundle: train{ending}"] for ending in ("", " + multi_gpu_train"))
    engine = runs["gesenet_bundle: inference + inference_trt"]
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: False)
    assert [run.left_out("cuda") for run in (alone, several)] == ["", "this PyTorch has no NCCL"]
    assert [run.left_out("cpu") for run in (alone, several)] == ["", ""]
    assert smoke.attempt(engine, "cpu", tmp_path)["left_out"].startswith("an NVIDIA GPU that PyTorch can use")


def test_bytes_and_operations_are_those_of_a_matrix_product():
    a, b = torch.rand(64, 32), torch.rand(16, 32)
    moved, operations = 4 * (64 * 32 + 32 * 16 + 64 * 16), 2 * 64 * 32 * 16
    with Traffic() as traffic:
        a @ b.t()
    assert traffic.bytes == moved
    rates = {"float32_tflops": 1e-6, "copy_gb_per_s": 1e-3}
    row = inference("product", lambda: a @ b.t(), "cpu", rates, "float32", count=64, form="eager")
    assert row["share_of_matrix_rate"] / row["share_of_bandwidth"] == pytest.approx(operations / moved, rel=0.01)
    assert row["share_of_bandwidth"] == pytest.approx(moved / 1e6 * row["samples_per_s"] / 64, rel=0.01)
    assert row["form"] == "eager" and row["peak_gib"] is None
    # A compiled call is charged with the work of the one that it stands for.
    row = inference("half", lambda: None, "cpu", rates, "float32", eager=lambda: a @ b.t())
    assert row["share_of_bandwidth"] > 0 and row["samples_per_s"] > 0


def test_tensorrt_is_timed_by_the_bundle_where_it_is_installed(tmp_path, monkeypatch):
    assert not timings.has_tensorrt("cpu")
    given = {}
    monkeypatch.setattr(timings, "missing_for_tensorrt", lambda device: [])
    assert timings.has_tensorrt("cpu")

    def compile_nothing(network, plan, args):
        given.update(plan=plan, **args)
        return network

    monkeypatch.setattr("monai.networks.trt_compile", compile_nothing)
    network, inferer = timings.on_tensorrt(GESENET, "cpu", "fp16", tmp_path)
    assert given["plan"].startswith(str(tmp_path)) and given["precision"] == "fp16"
    assert given["input_profiles"] == [{"image": [[batch, 2, 256, 256] for batch in (1, 16, 64)]}]
    x = torch.rand(2, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    expected, ordinary = timings.loaded(GESENET, "cpu")
    with torch.no_grad():
        assert torch.allclose(inferer(x, network), ordinary(x, expected), atol=1e-5)


def test_a_long_call_is_not_repeated(monkeypatch):
    calls = []
    assert median_seconds(lambda: calls.append(0), "cpu", repeats=5) >= 0.0 and len(calls) == 7
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("benchmarks.gpu.timings.time.perf_counter", lambda: next(clock))
    assert median_seconds(lambda: calls.append(0), "cpu", repeats=5) == 10 and len(calls) == 9
    assert precisions_of("cuda") == ["float32", "tf32", "float16", "bfloat16"]
    assert precisions_of("cpu") == ["float32", "bfloat16"]


def test_packing_prints_sizes_and_refuses_what_is_too_large(toys, tmp_path, capsys):
    brains, pairs = toys
    words = ["--brains", str(brains), "--pairs", str(pairs), "--out", str(tmp_path / "packed"), "--no_wheels"]
    assert pack.main([*words, "--limit_mb", "500", "--cases", "1"]) == 0
    printed = capsys.readouterr().out
    assert "tracked files: " in printed and "below 500" in printed
    sections = json.loads((tmp_path / "packed" / "brains" / "datalist.json").read_text())
    assert [len(sections[part]) for part in ("training", "validation")] == [1, 1]
    assert all((tmp_path / "packed" / "brains" / sections["training"][0][name]).is_file() for name in ("t1", "label"))
    assert (tmp_path / "packed" / "pairs" / "CT" / "train").is_dir()
    assert not (tmp_path / "packed" / "pairs" / "CT" / "test").exists()
    assert pack.main([*words, "--limit_mb", "1"]) == 1
    assert "1 may travel" in capsys.readouterr().err and not (tmp_path / "packed").exists()


@pytest.mark.full
def test_the_whole_command_runs_to_its_end(toys, tmp_path):
    brains, pairs = toys
    words = ["--brains", str(brains), "--pairs", str(pairs), "--out", str(tmp_path), "--device", "cpu", "--tiny"]
    assert main([*words, "--budget", "3000", "--jobs", "1", "--most", "3"]) == 0, (tmp_path / "log.txt").read_text()
    names = {path.name for path in tmp_path.iterdir()}
    assert {"report.md", "reports.tar.gz", "rmr_model.pt", "rmr_autoencoder.pt", "gesenet_model.pt", "log.txt"} <= {
        name.removesuffix(".part0").removesuffix(".part1") for name in names
    }
    report = (tmp_path / "report.md").read_text()
    assert "## Evaluation" in report and "| failed |" not in report


@pytest.mark.full
def test_the_command_is_rehearsed_on_the_pretended_gpu(toys, tmp_path):
    brains, pairs = toys
    words = ["--brains", str(brains), "--pairs", str(pairs), "--out", str(tmp_path), "--device", "cuda", "--tiny"]
    words += ["--launcher", "tests.gpu.launch", "--parts", "AC", "--jobs", "1", "--most", "1", "--budget", "6000"]
    assert main(words) == 0, (tmp_path / "log.txt").read_text()
    report = (tmp_path / "report.md").read_text()
    assert "0 failed" in report and "| train gesenet_bundle train |" in report and "## Evaluation" in report
