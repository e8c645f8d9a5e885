"""The fused volume lies between the decoded one and a weighted sum of the images, as the gate says."""

import pytest
import torch

from shared_networks.blocks.detail_gate import DetailGate


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(2, channels, 6, 5, 3, generator=generator) for channels in (1, 16, 2)]


def constant_gate(logit: float, weights=(0.2, 0.85)) -> DetailGate:
    gate = DetailGate(weights=weights)
    torch.nn.init.zeros_(gate.gate[-1].weight)
    torch.nn.init.constant_(gate.gate[-1].bias, logit)
    return gate


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_blend_in_closed_form(inputs, share):
    decoded, _, images = inputs
    logit = torch.logit(torch.tensor(share)).clamp(-90, 90).item()
    wanted = (1 - share) * decoded + share * (0.2 * images[:, :1] + 0.85 * images[:, 1:])
    torch.testing.assert_close(constant_gate(logit)(*inputs), wanted)


def test_slices_do_not_mix_and_a_voxel_sees_two_around_it(inputs):
    torch.manual_seed(1)
    gate = DetailGate().double()
    decoded, features, images = (tensor.double() for tensor in inputs)
    before = gate(decoded, features, images)
    features = features.clone()
    features[:, :, 3, 2, 1] += 1.0
    changed = (gate(decoded, features, images) - before).abs().amax(dim=(0, 1)) > 0
    assert not changed[..., 0].any() and not changed[..., 2].any()
    assert not changed[0].any(), "three voxels away"
    assert changed[1:, :, 1].all()


def test_size_and_start():
    gate = DetailGate()
    assert sum(parameter.numel() for parameter in gate.parameters()) == 2_131
    assert gate.mixture.weight.flatten().tolist() == [0.5, 0.5]
