"""A loss that is no number ends the training before it reaches the weights."""

import errno
import os

import pytest
import torch
from monai.engines import SupervisedTrainer

from shared_networks.errors import InputError
from shared_networks.handlers import BestCheckpoint, FiniteTraining, GradientClip, TrainingCheckpoints
from tests.bundles.bundle_runs import refusal_of


def trainer_of(loss, clip=None, epochs=3, names=True):
    """Two batches an epoch, the second with cases c and d; the network is a factor 3."""
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 3.0)
    batches = [{"image": torch.full((2, 1), factor), "label": torch.zeros(2, 1)} for factor in (1.0, 2.0)]
    if names:
        batches = [{**batch, "case": list(cases)} for batch, cases in zip(batches, ("ab", "cd"), strict=True)]
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=batches,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=loss,
        train_handlers=[*([] if clip is None else [GradientClip(network, clip)]), FiniteTraining(network)],
    )
    return trainer, network


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_before_the_step_and_names_the_batch(value):
    trainer, network = trainer_of(None)
    seen = []

    def loss(prediction, label):
        seen.append(network.weight.item())
        return prediction.mean() * (value if len(seen) == 4 else 1.0)

    trainer.loss_function = loss
    message = refusal_of(trainer.run)
    assert message.startswith(f"epoch 2, iteration 4: the loss is {value} (cases: c, d); ")
    # Gradients of 1, 2 and 1 at a rate of 0.1; the fourth step did not happen.
    assert network.weight.item() == pytest.approx(3.0 - 0.1 - 0.2 - 0.1)


@pytest.mark.parametrize("clip", [None, 5.0])
def test_a_gradient_that_is_no_number_stops_too(clip):
    # The root of 0 has a value and no slope.
    trainer, network = trainer_of(lambda prediction, label: (prediction * 0).abs().sqrt().mean(), clip)
    message = refusal_of(trainer.run)
    assert message.startswith("epoch 1, iteration 1: a gradient is not finite (cases: a, b); ")
    assert network.weight.item() == 3.0


def test_finite_training_is_left_alone_and_cases_may_have_no_names():
    trainer, network = trainer_of(lambda prediction, label: prediction.mean(), names=False)
    trainer.run()
    assert network.weight.item() == pytest.approx(3.0 - 3 * 0.3)
    trainer, _ = trainer_of(lambda prediction, label: prediction.mean() / 0, names=False)
    assert "(cases: without names)" in refusal_of(trainer.run)


def saved(folder):
    return sorted(path.name for path in folder.iterdir())


def test_checkpoints_are_pruned_across_runs_and_later_epochs_are_left(tmp_path):
    for epoch in (1, 2, 3, 70):
        torch.save({}, tmp_path / f"net_checkpoint_epoch={epoch}.pt")
    torch.save({}, tmp_path / "other_checkpoint_epoch=1.pt")
    trainer, network = trainer_of(lambda prediction, label: prediction.mean(), epochs=5)
    TrainingCheckpoints(str(tmp_path), {"model": network, "trainer": trainer}, "net").attach(trainer)
    trainer.load_state_dict({"iteration": 6, "max_epochs": 5, "epoch_length": 2})
    trainer.run()
    names = [f"net_checkpoint_epoch={epoch}.pt" for epoch in (4, 5, 70)]
    assert saved(tmp_path) == [*names, "other_checkpoint_epoch=1.pt"]
    content = torch.load(tmp_path / names[1], weights_only=True)
    assert content["trainer"]["iteration"] == 10
    assert torch.equal(content["model"]["weight"], network.weight)


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_what_was_there_and_no_temporary_file(tmp_path, monkeypatch, call):
    trainer, network = trainer_of(lambda prediction, label: prediction.mean())
    TrainingCheckpoints(str(tmp_path), {"model": network, "trainer": trainer}, "net").attach(trainer)
    best = BestCheckpoint(network, str(tmp_path / "model.pt"), key_metric="score")
    trainer.state.metrics["score"] = 1.0
    best(trainer)
    before = (tmp_path / "model.pt").read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {"write": "torch.save", "fsync": "os.fsync", "replace": "pathlib.Path.replace"}[call]
    with monkeypatch.context() as patch:
        patch.setattr(target, full)
        message = refusal_of(trainer.run)
        assert message.startswith(
            f"{tmp_path / 'net_checkpoint_epoch=1.pt'}: the checkpoint cannot be written (No space "
        )
        trainer.state.metrics["score"] = 2.0
        with pytest.raises(InputError, match=r"model\.pt: the checkpoint cannot be written"):
            best(trainer)
    assert saved(tmp_path) == ["model.pt"]
    assert (tmp_path / "model.pt").read_bytes() == before
