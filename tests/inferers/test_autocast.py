"""Training in bfloat16 on a CPU."""

import torch
from torch import nn

from shared_networks.inferers import AutocastInferer


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(2, 3, 3, padding=1)


def test_off_is_the_network_itself():
    network, image = _network(), torch.rand(1, 2, 8, 8)
    assert torch.equal(AutocastInferer()(image, network), network(image))


def test_bfloat16_is_the_network_of_rounded_values():
    """Products of bfloat16 values are exact in float32, so that only the result is rounded once more."""
    network, image = _network(), torch.rand(1, 2, 8, 8)
    result = AutocastInferer(cpu_bfloat16=True)(image, network)
    assert result.dtype == torch.bfloat16
    rounded = _network()
    rounded.load_state_dict({key: value.bfloat16().float() for key, value in network.state_dict().items()})
    expected = rounded(image.bfloat16().float())
    assert torch.allclose(result.float(), expected, rtol=2**-7, atol=1e-3)
    assert not torch.is_autocast_enabled("cpu")


def test_weights_and_their_gradients_stay_in_single_precision():
    network, image = _network(), torch.rand(1, 2, 8, 8)
    AutocastInferer(cpu_bfloat16=True)(image, network).float().square().mean().backward()
    assert network.weight.dtype == network.weight.grad.dtype == torch.float32
    exact = _network()
    exact(image).square().mean().backward()
    assert torch.allclose(network.weight.grad, exact.weight.grad, rtol=0.05, atol=1e-3)
