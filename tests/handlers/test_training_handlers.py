"""Reseeding, clipping, best weights and resuming."""

import os
import random

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.engines import SupervisedTrainer
from monai.optimizers import WarmupCosineSchedule
from monai.transforms import RandRotate90d

from shared_networks.errors import InputError
from shared_networks.handlers import BestCheckpoint, EpochReseed, GradientClip, ScheduleState, newest_checkpoint
from shared_networks.handlers.epoch_start import epoch_seed


def _draws(dataset):
    return random.random(), np.random.rand(), torch.rand(1).item(), dataset.transform.R.rand()


def _randomness(first_epoch, last_epoch, seed=3, rank=0):
    dataset = Dataset([{"image": torch.zeros(1, 2, 2)}], RandRotate90d("image"))
    seen = {}
    engine = Engine(lambda engine, batch: seen.setdefault(engine.state.epoch, _draws(dataset)))
    engine.state.epoch = first_epoch - 1
    EpochReseed(seed, dataset, rank).attach(engine)
    engine.load_state_dict({"epoch": first_epoch - 1, "max_epochs": last_epoch, "epoch_length": 1})
    engine.run([0])
    return seen


def test_a_resumed_epoch_draws_what_the_uninterrupted_one_drew():
    whole = _randomness(1, 4)
    resumed = _randomness(3, 4)
    assert resumed == {epoch: whole[epoch] for epoch in (3, 4)}
    assert len(set(whole.values())) == 4


def test_seeds_differ_between_runs_epochs_and_ranks():
    seeds = {epoch_seed(seed, epoch, rank) for seed in range(5) for epoch in range(5) for rank in range(5)}
    assert len(seeds) == 125
    assert _randomness(1, 1, rank=1) != _randomness(1, 1, rank=0)


@pytest.mark.parametrize(("limit", "expected"), [(0.5, 0.5), (0.0, 6.0), (100.0, 6.0)])
def test_gradient_norm_is_limited_in_a_real_trainer(limit, expected):
    network = torch.nn.Linear(1, 1, bias=False)
    norms = []
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[{"image": torch.tensor([[3.0]]), "label": torch.tensor([[0.0]])}],
        network=network,
        optimizer=optimizer,
        loss_function=lambda prediction, label: 2 * prediction,
        train_handlers=[GradientClip(network, limit)],
    )
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: norms.append(network.weight.grad.norm().item()))
    trainer.run()
    assert norms[0] == pytest.approx(expected, rel=1e-4)


def _validate(handler, value, epoch):
    evaluator = Engine(lambda engine, batch: None)
    handler.attach(evaluator)
    evaluator.state.key_metric_name = "score"

    @evaluator.on(Events.STARTED)
    def _set(engine):
        engine.state.metrics["score"] = value

    evaluator.run([0], max_epochs=epoch)


def test_only_a_better_validation_replaces_the_weights_also_after_a_resume(tmp_path):
    network = torch.nn.Linear(2, 1)
    path = tmp_path / "models" / "model.pt"
    handler = BestCheckpoint(network, str(path))
    _validate(handler, 0.7, epoch=2)
    kept = {key: value.clone() for key, value in network.state_dict().items()}
    torch.nn.init.constant_(network.weight, 5.0)
    _validate(handler, float("nan"), epoch=3)
    resumed = BestCheckpoint(network, str(path))
    resumed.load_state_dict(handler.state_dict())
    _validate(resumed, 0.6, epoch=4)
    assert resumed.state_dict() == {"best_value": 0.7, "best_epoch": 2}
    saved = torch.load(path, weights_only=True)
    assert all(torch.equal(saved[key], kept[key]) for key in kept)
    _validate(resumed, 0.8, epoch=5)
    assert torch.equal(torch.load(path, weights_only=True)["weight"], network.weight)
    assert [file.name for file in path.parent.iterdir()] == ["model.pt"]


def test_weights_of_another_run_are_replaced_with_a_line(tmp_path, caplog):
    path = tmp_path / "model.pt"
    for run in ("first", "second"):
        handler = BestCheckpoint(torch.nn.Linear(2, 1), str(path))
        _validate(handler, 0.5, epoch=1)
        _validate(handler, 0.6, epoch=2)
        said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        expected = f"{path}: weights of before are replaced; --ckpt_dir names another folder"
        assert said == ([] if run == "first" else [expected])


def test_newest_readable_checkpoint_is_found(tmp_path):
    assert newest_checkpoint(str(tmp_path)) == ""
    for number in (1, 2):
        path = tmp_path / f"checkpoint_{number}.pt"
        torch.save({"epoch": number}, path)
        stamp = 1_000_000_000 * number
        os.utime(path, ns=(stamp, stamp))
    assert newest_checkpoint(str(tmp_path)).endswith("checkpoint_2.pt")
    whole = (tmp_path / "checkpoint_2.pt").read_bytes()
    (tmp_path / "checkpoint_2.pt").write_bytes(whole[: len(whole) // 2])
    assert newest_checkpoint(str(tmp_path)).endswith("checkpoint_1.pt")


@pytest.mark.parametrize(("others", "found"), [("checkpoint_2.pt", True), ("no checkpoint", False)])
def test_processes_go_on_from_the_same_checkpoint_or_not_at_all(others, found, tmp_path, monkeypatch):
    torch.save({"epoch": 2}, tmp_path / "checkpoint_2.pt")
    monkeypatch.setattr("ignite.distributed.get_world_size", lambda: 2)
    monkeypatch.setattr("ignite.distributed.all_gather", lambda own, group: [own, [others]])
    if found:
        assert newest_checkpoint(str(tmp_path)).endswith("checkpoint_2.pt")
        return
    with pytest.raises(InputError, match=r"different checkpoints \(checkpoint_2.pt, no checkpoint\): --ckpt_dir must"):
        newest_checkpoint(str(tmp_path))


SCHEDULES = {
    "cosine": lambda optimizer, steps: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
    "polynomial": lambda optimizer, steps: torch.optim.lr_scheduler.PolynomialLR(optimizer, steps, 0.9),
    "warm up": lambda optimizer, steps: WarmupCosineSchedule(optimizer, steps // 10, steps, warmup_multiplier=0.1),
}


def _schedule(name, steps):
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), 0.5)
    return optimizer, SCHEDULES[name](optimizer, steps)


def _step(optimizer, schedule, count):
    rates = []
    for _ in range(count):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize(("begun", "length"), [(20, 40), (40, 20), (30, 30)])
def test_a_resumed_run_has_the_schedule_of_its_own_length(name, begun, length, caplog):
    expected = _step(*_schedule(name, length), length)
    optimizer, schedule = _schedule(name, begun)
    _step(optimizer, schedule, 15)
    saved = optimizer.state_dict(), ScheduleState(schedule).state_dict()
    optimizer, schedule = _schedule(name, length)
    optimizer.load_state_dict(saved[0])
    ScheduleState(schedule).load_state_dict(saved[1])
    assert schedule.last_epoch == 15 and optimizer.param_groups[0]["lr"] == pytest.approx(expected[14])
    assert _step(optimizer, schedule, length - 15) == pytest.approx(expected[15:], abs=1e-9)
    said = [record.getMessage() for record in caplog.records if record.name == "ScheduleState"]
    assert len(said) == (begun != length)
    assert all(f"{begun} -> {length}" in text and "at step 15" in text for text in said)
