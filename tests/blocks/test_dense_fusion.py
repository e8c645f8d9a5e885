"""Fusion module FN and decoder DE: counts, an independent reference, reach."""

import pytest
import torch
import torch.nn.functional as F

from shared_networks.blocks.dense_fusion import DenseFusion
from shared_networks.blocks.feature_decoder import FeatureDecoder


def test_fusion_equals_convolutions_of_the_built_concatenation():
    torch.manual_seed(0)
    fusion = DenseFusion().double()
    tensors = list(fusion.state_dict().values())
    for weight in tensors[2::3]:
        weight.uniform_(-0.5, 0.5)
    x = torch.randn(2, 32, 4, 5, 3, dtype=torch.float64)
    joined = x
    for weight, bias, slope in zip(tensors[0:15:3], tensors[1:15:3], tensors[2:15:3], strict=True):
        y = F.conv3d(joined, weight, bias, padding=1)
        y = torch.where(y > 0, y, y * slope.view(1, -1, 1, 1, 1))
        joined = torch.cat([joined, y], dim=1)
    expected = F.conv3d(y, tensors[15], tensors[16], padding=1)
    expected = torch.where(expected > 0, expected, expected * tensors[17].view(1, -1, 1, 1, 1))
    assert (fusion(x) - expected).abs().max() < 1e-12
    assert expected.std() > 0.01


@pytest.mark.parametrize(("module", "channels", "reach"), [(DenseFusion(), 32, 6), (FeatureDecoder(), 16, 4)])
def test_reach_is_one_voxel_a_convolution(module, channels, reach):
    x = torch.rand(1, channels, 17, 1, 2)
    changed = x.clone()
    changed[:, :, 8] += 1
    with torch.no_grad():
        difference = (module(changed) - module(x)).abs().amax(dim=(0, 1, 3, 4))
    assert difference[8 - reach : 9 + reach].min() > 0
    assert difference[: 8 - reach].max() < 1e-6 and difference[9 + reach :].max() < 1e-6


@pytest.mark.parametrize("size", [(1, 1, 1), (2, 5, 3)])
def test_every_size_keeps_its_shape_and_every_parameter_learns(size):
    torch.manual_seed(0)
    fusion, decoder = DenseFusion(), FeatureDecoder()
    fused = fusion(torch.randn(3, 32, *size))
    image = decoder(fused)
    assert fused.shape == (3, 16, *size) and image.shape == (3, 1, *size)
    image.square().sum().backward()
    assert all(parameter.grad is not None for module in (fusion, decoder) for parameter in module.parameters())


def test_decoder_has_no_output_activation():
    decoder = FeatureDecoder()
    torch.nn.init.constant_(decoder.layers[-1].weight, 0.0)
    for value in (-3.0, 7.0):
        torch.nn.init.constant_(decoder.layers[-1].bias, value)
        assert torch.equal(decoder(torch.rand(1, 16, 2, 2, 2)), torch.full((1, 1, 2, 2, 2), value))
