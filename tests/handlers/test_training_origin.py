"""A checkpoint is resumed by the training that made it, and by no other."""

import logging
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from shared_networks.errors import InputError
from shared_networks.handlers import TrainingOrigin, newest_checkpoint
from shared_networks.io.content_hash import items_hash

CONFIG = {
    "import_paths": "$None",
    "learning_rate": 0.1,
    "device": "cpu",
    "max_epochs": 3,
    "semantic_checkpoint": "",
    "head": {"_target_": "builtins.dict", "a": 40 * "x"},
    "network_def": {"_target_": "builtins.dict", "head": "@head", "_requires_": "@import_paths"},
    "network": "$@network_def if @device else None",
    "loss": {"_target_": "builtins.dict", "seen": "@semantic_checkpoint", "on": "@device"},
    "optimizer": {"_target_": "builtins.dict", "lr": "@learning_rate", "params": "@network"},
    "lr_scheduler": {"_target_": "builtins.dict", "T_max": "@max_epochs"},
    "train": {"dataset": {"_target_": "builtins.dict", "data": [{"case": "1"}]}, "handlers": [1]},
    "training_origin": {"_target_": "shared_networks.handlers.TrainingOrigin", "training": "@train#dataset#data"},
}


def origin(**overrides):
    parser = ConfigParser(deepcopy(CONFIG))
    for key, value in overrides.items():
        parser[key.replace("__", "#")] = value
    return parser.get_parsed_content("training_origin")


def differences(**overrides):
    return origin(**overrides).differences(origin().state_dict())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("device", "cuda"),
        ("network", "$Wrapped(@network_def)"),
        ("train__dataset__rank", 1),
        ("max_epochs", 9),
        ("semantic_checkpoint", "other.pt"),
        ("train__handlers", []),
        ("more", 1),
    ],
)
def test_what_may_change(key, value):
    assert differences(**{key: value}) == []


def test_what_may_not():
    assert differences(learning_rate=0.2) == ["learning_rate was 0.1 and is 0.2"]
    assert differences(head={"_target_": "builtins.list"}) == ["head is another one"]
    assert differences(seed=1) == ["seed was nothing and is 1"]
    assert differences(train__dataset__data=[{"case": "2"}]) == ["other training data"]


def test_items_hash_follows_contents_not_places(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder / "series").mkdir(parents=True)
        (tmp_path / folder / "t1.nii").write_bytes(b"t1")
        (tmp_path / folder / "series" / "1.dcm").write_bytes(b"flair")

    def item(folder, **more):
        return {"image": [str(tmp_path / folder / "t1.nii"), str(tmp_path / folder / "series")], "case": "x", **more}

    assert items_hash([item("a")]) == items_hash([item("b")])
    different = [[item("a", label="l")], [item("a"), item("a")], [], [item("a", image=[str(tmp_path / "a/t1.nii")])]]
    arrays = [[{"x": np.zeros(2)}], [{"x": np.ones(2)}], [{"x": np.zeros((2, 1))}], [{"x": np.zeros(2, np.float32)}]]
    hashes = [items_hash(items) for items in ([item("a")], *different, *arrays)]
    assert len(set(hashes)) == len(hashes)
    (tmp_path / "b" / "series" / "1.dcm").write_bytes(b"other")
    assert items_hash([item("a")]) != items_hash([item("b")])


def test_other_weights_of_another_network_are_another_training(tmp_path):
    weights = tmp_path / "autoencoder.pt"
    before = TrainingOrigin(files=[weights, ""])
    assert before.state_dict()["contents"].keys() == {"training data", "validation data"}
    weights.write_bytes(b"1")
    assert TrainingOrigin(files=[weights]).differences(before.state_dict()) == ["other autoencoder.pt"]


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with a checkpoint of four epochs of 5 steps."""
    trainer = {"iteration": 20, "epoch_length": 5, "max_epochs": 4}
    torch.save({"origin": origin().state_dict(), "trainer": trainer}, tmp_path / "checkpoint_4.pt")
    return str(tmp_path)


def test_the_same_training_goes_on(checkpoint, caplog):
    path = newest_checkpoint(checkpoint, origin=origin(max_epochs=9), max_epochs=9)
    assert path.endswith("checkpoint_4.pt") and not caplog.records
    assert newest_checkpoint(checkpoint, origin=origin(learning_rate=1), resume=False) == ""


def test_another_training_is_refused(checkpoint):
    with pytest.raises(InputError) as caught:
        newest_checkpoint(checkpoint, origin=origin(learning_rate=1), max_epochs=9)
    assert str(caught.value) == (
        f"{Path(checkpoint) / 'checkpoint_4.pt'}: a checkpoint of another training (learning_rate was 0.1 and "
        "is 1): give its data and settings to go on with it, another --ckpt_dir, or --resume False to begin anew."
    )


def test_a_finished_training_says_so(checkpoint, caplog):
    with caplog.at_level(logging.WARNING):
        assert newest_checkpoint(checkpoint, origin=origin(), max_epochs=4)
    assert "this training is finished, 4 epochs of 4" in caplog.text
    with pytest.raises(InputError, match="4 epochs are trained, max_epochs is 3: give a larger --max_epochs"):
        newest_checkpoint(checkpoint, origin=origin(), max_epochs=3)


def test_a_checkpoint_without_origin_is_said_to_be_unchecked(checkpoint, caplog, tmp_path):
    (tmp_path / "checkpoint_4.pt").unlink()
    torch.save({"trainer": {"iteration": 1, "epoch_length": 1}}, tmp_path / "checkpoint_1.pt")
    assert newest_checkpoint(checkpoint, origin=origin(), max_epochs=4)
    assert "does not say which data and settings" in caplog.text
