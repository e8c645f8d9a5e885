"""Weights in half the space."""

import pytest
import torch
from torch import nn

from shared_networks.errors import InputError
from shared_networks.handlers import WeightsLoader
from shared_networks.utils.half_weights import half_weights, main
from shared_networks.utils.weights import read_weights


def network(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(64, 64, 3), nn.BatchNorm2d(64), nn.Conv2d(64, 64, 3))


def test_files_are_half_as_large_and_come_back_in_single_precision(tmp_path):
    source, target = network(0), network(1)
    for name in ("plain", "training"):
        content = source.state_dict() if name == "plain" else {"model": source.state_dict(), "epoch": 3}
        torch.save(content, tmp_path / f"{name}.pt")
        assert main([str(tmp_path / f"{name}.pt"), str(tmp_path / "half.pt")]) == 0
    torch.save(source.state_dict(), tmp_path / "plain.pt")
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * (tmp_path / "plain.pt").stat().st_size
    stored = torch.load(tmp_path / "half.pt", weights_only=True)
    assert stored["0.weight"].dtype == torch.float16 and stored["0.bias"].dtype == torch.float32
    assert stored["1.num_batches_tracked"].dtype == torch.int64
    state = read_weights(tmp_path / "half.pt")
    assert state["0.weight"].dtype == torch.float32
    for name, value in source.state_dict().items():
        assert torch.allclose(state[name].double(), value.double(), rtol=2**-11, atol=1e-7), name
    engine = type("Engine", (), {"logger": __import__("logging").getLogger("test")})()
    WeightsLoader(str(tmp_path / "half.pt"), target)(engine)
    assert all(parameter.dtype == torch.float32 for parameter in target.parameters())
    assert torch.equal(target[0].weight, state["0.weight"])


def test_a_layer_with_two_names_is_stored_once(tmp_path):
    source = network(0)
    source.second_name = source[0]
    torch.save(source.state_dict(), tmp_path / "plain.pt")
    main([str(tmp_path / "plain.pt"), str(tmp_path / "half.pt")])
    stored = torch.load(tmp_path / "half.pt", weights_only=True)
    assert stored["0.weight"].data_ptr() == stored["second_name.weight"].data_ptr()
    assert stored["0.weight"].data_ptr() != stored["2.weight"].data_ptr()
    assert (tmp_path / "half.pt").stat().st_size < 0.6 * (tmp_path / "plain.pt").stat().st_size


def test_what_does_not_fit_is_refused_in_one_line(tmp_path, capsys):
    with pytest.raises(InputError, match="a: values beyond 65504"):
        half_weights({"a": torch.full((200, 100), 1e5)})
    torch.save({"a": torch.full((200, 100), 1e5)}, tmp_path / "a.pt")
    assert main([str(tmp_path / "a.pt"), str(tmp_path / "b.pt")]) == 1
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "b.pt").exists()
    assert main([]) == 1 and "Usage" in capsys.readouterr().err
