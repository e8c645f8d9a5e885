"""Encoder EN: structure by its parameter count and by what reaches what."""

import pytest
import torch

from shared_networks.blocks.swin_encoder import SwinEncoder


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return SwinEncoder(windows_per_group=8).eval()


def test_parameters_are_those_of_the_specification(encoder):
    assert parameters(encoder) == 359_084
    # Convolutions 1 -> 24 -> 48 with biases and one PReLU slope a channel.
    assert parameters(encoder.stem) == (27 * 24 + 24) + 24 + (27 * 24 * 48 + 48) + 48
    assert parameters(encoder.patch_embedding) == 8 * 48 * 48 + 48
    # Six blocks: position table, two norms, qkv, projection, MLP of four times the width.
    assert parameters(encoder.stages) == 6 * (13**3 * 6 + 4 * 48 + 49 * 144 + 49 * 48 + 49 * 192 + 193 * 48)
    assert parameters(encoder.upsampling) == 8 * 48 * 48


@pytest.mark.parametrize("size", [(1, 1, 1), (33, 20, 1), (3, 14, 15), (28, 14, 14)])
def test_every_size_keeps_its_shape(encoder, size):
    with torch.no_grad():
        features = encoder(torch.rand(2, 1, *size))
    assert features.shape == (2, 16, *size)
    assert features.isfinite().all()


def test_odd_axes_repeat_the_last_voxel(encoder):
    image = torch.rand(1, 1, 15, 14, 14)
    with torch.no_grad():
        even = encoder(torch.cat([image, image[:, :, -1:]], dim=2))
        assert torch.allclose(encoder(image), even[:, :, :15], atol=1e-6)


@pytest.mark.parametrize("size", [(14, 14, 2), (30, 16, 14), (1, 1, 1)])
def test_attention_sees_whole_windows_with_the_border_repeated(encoder, size):
    seen = []
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        for module in (encoder.patch_embedding, encoder.stages)
    ]
    with torch.no_grad():
        encoder(torch.rand(1, 1, *size))
        tokens = encoder.patch_embedding(seen[0])
    for hook in hooks:
        hook.remove()
    inside = seen[1]
    assert all(length % 7 == 0 for length in inside.shape[2:])
    for axis in range(2, 5):
        index = torch.arange(inside.shape[axis]).clamp(max=tokens.shape[axis] - 1)
        tokens = tokens.index_select(axis, index)
    assert torch.equal(inside, tokens)


def test_tokens_are_normalised_over_channels_without_weights(encoder):
    seen = []
    hook = encoder.upsampling.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        encoder(torch.rand(1, 1, 16, 14, 18))
    hook.remove()
    assert seen[0].shape == (1, 48, 8, 7, 9)
    assert seen[0].mean(1).abs().max() < 1e-5
    assert (seen[0].var(1, unbiased=False) - 1).abs().max() < 1e-2


def test_first_features_are_added_to_the_upsampled_tokens():
    torch.manual_seed(0)
    encoder = SwinEncoder()
    torch.nn.init.zeros_(encoder.upsampling.weight)
    image = torch.rand(1, 1, 14, 14, 14)
    assert torch.allclose(encoder(image), encoder.head(encoder.stem(image)), atol=1e-6)


def test_attention_reaches_beyond_the_convolutions(encoder):
    image = torch.rand(1, 1, 28, 14, 14)
    changed = image.clone()
    changed[:, :, 0, 0, 0] += 1
    with torch.no_grad():
        difference = (encoder(changed) - encoder(image)).abs().amax(1)[0]
    # Four convolutions of 3 reach 4 voxels; windows of 14 voxels with shifts reach the other end.
    assert difference[27, 13, 13] > 0


def test_every_parameter_learns():
    torch.manual_seed(0)
    encoder = SwinEncoder()
    encoder(torch.rand(1, 1, 18, 14, 14)).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in encoder.parameters())
