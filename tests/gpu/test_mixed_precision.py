"""The gradient scaler: steps are left out, a run that only leaves out steps ends, and a checkpoint keeps the scale."""

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer

from shared_networks.handlers import FiniteTraining, TrainerState
from tests.bundles.bundle_runs import refusal_of


def trainer_of(loss, steps, interval=20, amp=True):
    """The network is one factor, 3 at first; a step at rate 0.1 with the gradient of the loss."""
    network = torch.nn.Linear(1, 1, bias=False).to("cuda")
    torch.nn.init.constant_(network.weight, 3.0)
    trainer = SupervisedTrainer(
        device=torch.device("cuda"),
        max_epochs=1,
        train_data_loader=[{"image": torch.ones(2, 1), "label": torch.zeros(2, 1), "case": ["a", "b"]}] * steps,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=loss,
        train_handlers=[FiniteTraining(network, interval=interval)],
        amp=amp,
        decollate=False,
    )
    return trainer, network


@pytest.mark.parametrize("interval", [20, 7])
def test_the_host_waits_once_a_step_and_three_times_where_weights_and_scale_are_looked_at(interval, gpu):
    trainer, _ = trainer_of(lambda prediction, label: prediction.float().mean(), steps=45, interval=interval)
    waits = []
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: gpu.waits.clear())
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: waits.append(sum(gpu.waits.values())))
    trainer.run()
    assert waits == [1 if step % interval and step != 45 else 3 for step in range(1, 46)]


def test_a_step_that_is_not_finite_is_left_out_and_the_training_goes_on(gpu):
    calls = []

    def loss(prediction, label):
        calls.append(1)
        return prediction.float().mean() * (float("inf") if len(calls) == 2 else 1.0)

    trainer, network = trainer_of(loss, steps=4)
    trainer.run()
    # The first step too: 65536, the first scale, is beyond float16.
    assert network.weight.item() == pytest.approx(3.0 - 2 * 0.1, abs=1e-3)
    assert trainer.scaler.get_scale() == 2**14


def test_a_run_that_leaves_out_every_step_ends_with_one_line(gpu):
    trainer, network = trainer_of(lambda prediction, label: prediction.mean() * float("nan"), steps=60)
    message = refusal_of(trainer.run)
    assert message.startswith("epoch 1, iteration 20: loss or gradients overflow step after step: the scale of mixed")
    assert "fell to 0.0625 (cases: a, b); those steps were not made" in message
    assert network.weight.item() == 3.0


def test_weights_that_are_not_finite_end_the_run_before_its_checkpoint(gpu):
    trainer, network = trainer_of(lambda prediction, label: prediction.float().mean(), steps=3)
    saved = []
    trainer.add_event_handler(Events.ITERATION_STARTED(once=3), lambda engine: network.weight.data.fill_(float("inf")))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: saved.append(1))
    assert "iteration 3: a weight is not finite" in refusal_of(trainer.run)
    assert not saved


def test_the_scale_goes_into_the_checkpoint_and_back(gpu, tmp_path):
    trainer, _ = trainer_of(lambda prediction, label: prediction.mean() * float("inf"), steps=3)
    trainer.run()
    torch.save({"trainer": TrainerState(trainer).state_dict()}, tmp_path / "checkpoint.pt")
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["trainer"]
    assert state["scaler"]["scale"] == 2**13 and state["iteration"] == 3

    resumed, _ = trainer_of(lambda prediction, label: prediction.mean(), steps=3)
    seen = []
    resumed.add_event_handler(Events.STARTED, lambda engine: TrainerState(engine).load_state_dict(state))
    resumed.add_event_handler(Events.STARTED, lambda engine: seen.append(engine.scaler.get_scale()))
    resumed.run()
    assert seen == [2**13]


def test_checkpoints_with_and_without_a_scaler_are_taken_by_every_run(gpu):
    mixed, _ = trainer_of(lambda prediction, label: prediction.mean(), steps=1)
    mixed.run()
    single, _ = trainer_of(lambda prediction, label: prediction.mean(), steps=1, amp=False)
    single.run()
    assert TrainerState(single).state_dict()["scaler"] == {}
    TrainerState(single).load_state_dict(TrainerState(mixed).state_dict())
    scale = mixed.scaler.get_scale()
    for state in (TrainerState(single).state_dict(), single.state_dict()):
        TrainerState(mixed).load_state_dict(state)
        assert mixed.scaler.get_scale() == scale and mixed.state.iteration == 1
