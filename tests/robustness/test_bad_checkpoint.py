"""Checkpoints that are not this network's, are damaged, or hold code: one line, and the network stays as it was."""

import hashlib
import pickle

import pytest
import torch
from ignite.engine import Engine
from torch import nn

from shared_networks.errors import InputError
from shared_networks.handlers import WeightsLoader
from shared_networks.utils.weights import read_weights


class Payload:
    """Runs a command when it is unpickled the ordinary way."""

    def __reduce__(self):
        return (print, ("code ran",))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 5))


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


STATE = network().state_dict()
BAD = {
    "pickle": (lambda path: path.write_bytes(pickle.dumps(Payload())), "cannot be loaded with weights_only=True"),
    "pickle in a checkpoint": (lambda path: torch.save({"model": STATE, "x": Payload()}, path), "weights_only=True"),
    "whole network": (lambda path: torch.save(network(), path), "weights_only=True"),
    "cut": (lambda path: (torch.save(STATE, path), path.write_bytes(path.read_bytes()[:400])), "weights_only=True"),
    "empty": (lambda path: path.write_bytes(b""), "weights_only=True"),
    "text": (lambda path: path.write_text("weights"), "weights_only=True"),
    "missing": (lambda path: None, "no such checkpoint; give the path of the weights"),
    "folder": (lambda path: path.mkdir(), "no such checkpoint"),
    "a list": (lambda path: torch.save([1, 2], path), "holds a list, expected named tensors"),
    "a tensor": (lambda path: torch.save(torch.zeros(3), path), "holds a Tensor, expected named tensors"),
    "a key less": (lambda path: torch.save(without(STATE, "1.bias"), path), "1.bias is missing: weights of another"),
    "other keys": (lambda path: torch.save({"a": torch.zeros(1)}, path), r"0\.weight and 3 more are missing"),
    "a key more": (lambda path: torch.save(STATE | {"2.bias": torch.zeros(1)}, path), r"2\.bias is unknown"),
    "no tensor": (lambda path: torch.save(STATE | {"0.bias": 3}, path), r"0\.bias is missing"),
    "more classes": (
        lambda path: torch.save(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 7)).state_dict(), path),
        r"1\.weight has shape \(7, 4\), expected \(5, 4\): weights of another network; give the checkpoint of this",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_checkpoint_is_one_line_and_changes_nothing(tmp_path, capsys, name):
    harm, message = BAD[name]
    path, target = tmp_path / "model.pt", network()
    harm(path)
    with pytest.raises(InputError, match=message) as caught:
        WeightsLoader(str(path), target)(Engine(lambda engine, batch: None))
    assert str(caught.value).startswith(str(path))
    assert all(torch.equal(value, STATE[key]) for key, value in target.state_dict().items())
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "content", [{k: v + 1 for k, v in STATE.items()}, {"model": {k: v + 1 for k, v in STATE.items()}}]
)
def test_good_checkpoint_is_loaded_when_the_run_starts(tmp_path, content):
    torch.save(content, tmp_path / "model.pt")
    target, engine = network(), Engine(lambda engine, batch: None)
    WeightsLoader(str(tmp_path / "model.pt"), nn.DataParallel(target)).attach(engine)
    engine.run([1])
    assert all(torch.equal(value, STATE[key] + 1) for key, value in target.state_dict().items())


def test_of_a_checkpoint_with_a_running_mean_the_mean_is_loaded(tmp_path):
    path = tmp_path / "checkpoint.pt"
    mean = {key: value + 1 for key, value in STATE.items()}
    torch.save({"model": STATE, "weight_average": {"count": 3, "average": mean}}, path)
    loaded = network()
    WeightsLoader(str(path), loaded)(Engine(lambda engine, batch: None))
    assert all(torch.equal(value, mean[key]) for key, value in loaded.state_dict().items())


def test_what_fits_is_taken_when_asked_for_and_the_rest_starts_afresh(tmp_path, caplog):
    path, other = tmp_path / "model.pt", nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 7))
    torch.save({**other.state_dict(), "2.bias": torch.zeros(1)}, path)
    target, engine = network(), Engine(lambda engine, batch: None)
    WeightsLoader(str(path), target, strict=False)(engine)
    assert torch.equal(target[0].weight, other[0].weight) and torch.equal(target[0].bias, other[0].bias)
    assert torch.equal(target[1].weight, STATE["1.weight"]) and torch.equal(target[1].bias, STATE["1.bias"])
    assert "2 of 4 tensors are not in it and start afresh, the first of them 1.weight" in caplog.text
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"0\.weight and 3 more are missing"):
        WeightsLoader(str(path), target, strict=False)(engine)


def test_safetensors_must_be_the_file_of_the_manifest(tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "models" / "model.safetensors"
    path.parent.mkdir()
    safetensors.save_file(STATE, path)
    assert all(torch.equal(value, STATE[key]) for key, value in read_weights(path).items())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  models/model.safetensors\n")
    assert read_weights(path).keys() == STATE.keys()
    safetensors.save_file({**STATE, "0.bias": STATE["0.bias"] + 1}, path)
    with pytest.raises(InputError, match="not the file that SHA256SUMS of its bundle lists; download the bundle again"):
        read_weights(path)
    path.write_bytes(b"\xff" * 9)
    (tmp_path / "SHA256SUMS").unlink()
    with pytest.raises(InputError, match="cannot be loaded"):
        read_weights(path)


def test_weights_of_a_training_in_a_released_bundle_give_a_warning(tmp_path, caplog):
    path = tmp_path / "models" / "model.pt"
    path.parent.mkdir()
    torch.save(STATE, path)
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  models/model.pt\n")
    assert read_weights(path).keys() == STATE.keys()
    assert "model.pt: not the file that SHA256SUMS of its bundle lists: trained anew, or damaged" in caplog.text


@pytest.mark.parametrize("device", ["cpu", "cpu:0", torch.device("cpu", 0)])
def test_every_name_of_the_cpu(tmp_path, device):
    torch.save(STATE, tmp_path / "a.pt")
    assert torch.equal(read_weights(tmp_path / "a.pt", device)["0.weight"], STATE["0.weight"])
