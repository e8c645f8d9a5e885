"""The semantic module: sizes, parameters, both heads, TorchScript, learning."""

import io

import pytest
import torch

from shared_networks.nets.bilateral_segmenter import BilateralAttentionSegmenter


def test_parameter_count_fits_the_bundle():
    network = BilateralAttentionSegmenter()
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_086_914
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    assert buffer.getbuffer().nbytes < 25e6


@pytest.mark.parametrize("size", [(1, 1), (24, 24), (33, 47), (96, 64)])
def test_both_heads_have_the_size_of_the_input(size):
    network = BilateralAttentionSegmenter(out_channels=4, block_inplanes=(4, 8, 8, 8), decoder_channels=8).eval()
    with torch.no_grad():
        main, auxiliary = network(torch.rand(2, 1, *size))
    assert main.shape == auxiliary.shape == (2, 4, *size)
    assert torch.isfinite(main).all() and torch.isfinite(auxiliary).all()


def test_heads_are_read_at_an_eighth_and_a_sixteenth():
    network = BilateralAttentionSegmenter().eval()
    sizes = {}
    for name in ("main_head", "auxiliary_head"):
        getattr(network, name).register_forward_hook(
            lambda module, inputs, output, name=name: sizes.update({name: tuple(output.shape[2:])})
        )
    network(torch.rand(1, 1, 96, 64))
    assert sizes == {"main_head": (12, 8), "auxiliary_head": (6, 4)}


def test_auxiliary_head_does_not_depend_on_the_last_step():
    network = BilateralAttentionSegmenter(block_inplanes=(4, 8, 8, 8), decoder_channels=8).eval()
    network(torch.rand(1, 1, 32, 32))[1].sum().backward()
    assert all(parameter.grad is None for parameter in network.decoder8.parameters())
    assert all(parameter.grad is not None for parameter in network.decoder16.parameters())


def test_torchscript_gives_the_same_logits_after_saving(tmp_path):
    network = BilateralAttentionSegmenter(block_inplanes=(4, 8, 8, 8), decoder_channels=8).eval()
    torch.jit.script(network).save(str(tmp_path / "network.ts"))
    image = torch.rand(1, 1, 41, 30)
    with torch.no_grad():
        for scripted, eager in zip(torch.jit.load(str(tmp_path / "network.ts"))(image), network(image), strict=True):
            torch.testing.assert_close(scripted, eager)


def test_it_learns_to_tell_bright_from_dark():
    torch.manual_seed(0)
    network = BilateralAttentionSegmenter(out_channels=2, block_inplanes=(8, 8, 8, 8), layers=(1, 1, 1, 1))
    image = torch.zeros(4, 1, 32, 32)
    image[:, :, :, 16:] = 1.0
    image[2:] = image[2:].flip(3)
    label = image[:, 0].long()
    optimiser = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(30):
        optimiser.zero_grad()
        main, auxiliary = network(image)
        loss = torch.nn.functional.cross_entropy(main, label) + torch.nn.functional.cross_entropy(auxiliary, label)
        loss.backward()
        optimiser.step()
    assert (network(image)[0].argmax(dim=1) == label).float().mean() > 0.9


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="spatial_dims must be 2, got 3"):
        BilateralAttentionSegmenter(spatial_dims=3)
    with pytest.raises(ValueError, match="four stages"):
        BilateralAttentionSegmenter(layers=(2, 2))
