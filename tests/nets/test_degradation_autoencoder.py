"""The stage 1 network: what depends on what, and how its checkpoint is read."""

import pytest
import torch

from shared_networks.errors import InputError
from shared_networks.nets import DegradationAutoencoder

COMMAND = "python -m monai.bundle run training --config_file train_autoencoder.json"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DegradationAutoencoder().eval()


@pytest.fixture
def image():
    return torch.rand(2, 2, 15, 14, 3, generator=torch.Generator().manual_seed(0))


def test_one_call_gives_reconstructions_and_features(network, image):
    with torch.no_grad():
        everything = network(image, return_features=True)
        assert everything.shape == (2, 34, 15, 14, 3)
        assert torch.equal(everything[:, :2], network(image))
        assert torch.equal(everything[:, 2:], network.encode(image))
        # The decoder is shared: it makes either image of the features of its modality.
        assert torch.equal(everything[:, 0:1], network.decode(everything[:, 2:18]))
        assert torch.equal(everything[:, 1:2], network.decode(everything[:, 18:34]))


def test_each_modality_has_its_own_encoder(network, image):
    changed = image.clone()
    changed[:, 1] = 1 - changed[:, 1]
    with torch.no_grad():
        before, after = network.encode(image), network.encode(changed)
        swapped = network.encode(image.flip(1))
    assert torch.equal(before[:, :16], after[:, :16])
    assert (before[:, 16:] - after[:, 16:]).abs().max() > 1e-3
    assert (swapped.roll(16, dims=1) - before).abs().max() > 1e-3


def test_volumes_of_a_batch_do_not_meet(network, image):
    with torch.no_grad():
        assert torch.allclose(network(image)[1:], network(image[1:]), atol=1e-6)


def test_both_losses_reach_every_encoder_parameter(image):
    torch.manual_seed(0)
    network = DegradationAutoencoder()
    network(image, return_features=True)[:, 2:].square().sum().backward()
    assert all(p.grad.any() for encoder in (network.encoder_x, network.encoder_y) for p in encoder.parameters())
    assert all(not p.grad.any() for p in network.decoder.parameters())
    network(image).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state, "epoch": 3}])
def test_checkpoint_is_taken(network, image, tmp_path, wrap):
    torch.save(wrap(network.state_dict()), tmp_path / "autoencoder.pt")
    torch.manual_seed(1)
    other = DegradationAutoencoder().eval()
    with torch.no_grad():
        assert not torch.allclose(other(image), network(image), atol=1e-3)
        assert other.load(tmp_path / "autoencoder.pt") is other
        assert torch.equal(other(image), network(image))


def test_a_wrong_checkpoint_is_one_line_that_says_the_command(network, tmp_path):
    """Every other one that cannot be loaded is in tests/robustness/test_bad_checkpoint.py."""
    path, before = tmp_path / "autoencoder.pt", {name: value.clone() for name, value in network.state_dict().items()}
    torch.save(before | {"decoder.layers.0.weight": torch.zeros(8, 4, 3, 3, 3)}, path)
    expected = r"decoder.layers.0.weight has shape \(8, 4, 3, 3, 3\), expected \(8, 16, 3, 3, 3\)"
    with pytest.raises(InputError, match=rf"autoencoder\.pt: .*{expected}.*{COMMAND}$"):
        network.load(path, COMMAND)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
