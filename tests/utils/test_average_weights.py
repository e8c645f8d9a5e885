"""Mean of checkpoints: exact values, both checkpoint forms, refusals."""

import pytest
import torch

from shared_networks.errors import InputError
from shared_networks.utils.average_weights import average_weights, main


def test_floating_entries_are_averaged_and_counters_kept():
    states = [
        {"weight": torch.tensor([1.0, 2.0]), "steps": torch.tensor(3)},
        {"weight": torch.tensor([3.0, -2.0]), "steps": torch.tensor(9)},
    ]
    mean = average_weights(states)
    assert mean["weight"].tolist() == [2.0, 0.0]
    assert mean["steps"].item() == 3


def test_a_layer_with_two_names_is_stored_once():
    shared = torch.tensor([1.0, 3.0])
    mean = average_weights([{"a": shared, "b": shared}, {"a": torch.zeros(2), "b": torch.zeros(2)}])
    assert mean["a"].tolist() == [0.5, 1.5] and mean["a"].data_ptr() == mean["b"].data_ptr()


def test_command_reads_plain_and_training_checkpoints(tmp_path):
    torch.save({"weight": torch.tensor([1.0])}, tmp_path / "plain.pt")
    torch.save({"model": {"weight": torch.tensor([2.0])}, "optimizer": {}}, tmp_path / "training.pt")
    arguments = [str(tmp_path / name) for name in ("out.pt", "plain.pt", "training.pt")]
    assert main(arguments) == 0
    assert torch.load(tmp_path / "out.pt", weights_only=True)["weight"].tolist() == [1.5]


def test_refusals(tmp_path, capsys):
    with pytest.raises(InputError, match="different networks"):
        average_weights([{"a": torch.zeros(1)}, {"b": torch.zeros(1)}])
    with pytest.raises(InputError, match="at least one"):
        average_weights([])
    assert main([str(tmp_path / "out.pt"), str(tmp_path / "absent.pt")]) == 1
    assert "absent.pt: no such checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "out.pt").exists()
