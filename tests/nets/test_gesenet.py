"""GeSeNet: size, forms, exports, ablations, output range."""

import io

import pytest
import torch

from shared_networks.nets import GeSeNet

SIZES = [(1, 1), (2, 2), (33, 47), (64, 64), (7, 130)]


def network(seed: int = 0, **options) -> GeSeNet:
    """Random weights whose masks are about half full on random pictures."""
    torch.manual_seed(seed)
    made = GeSeNet(**options).eval()
    for branch in (made.mri, made.other):
        if branch.mask is None:
            continue
        generator = branch.mask.generator
        last = generator.upsample if options.get("mask_upsampling") != "bilinear" else generator.upsample[1]
        features = torch.rand(1, 1, 64, 64)
        with torch.no_grad():
            features = branch.stem(features) if branch.mask_before_edge else branch.edge(branch.stem(features))
            logits = generator.upsample(generator.reduce(features))
            last.bias[1] -= (logits[:, 1] - logits[:, 0]).median()
    return made


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_parameter_count_is_the_papers(upsampling):
    assert count(GeSeNet(mask_upsampling=upsampling)) == 240_585


@pytest.mark.parametrize(
    ("option", "parameters"),
    [
        ({"edge_enhancement": False}, 240_585 - 2 * 9_344 + 2 * 4_640),
        ({"region_mask": False}, 240_585 - 2 * 44_452),
        ({"global_refinement": False}, 240_585 - 104_704),
        ({"skip": False}, 240_585 - 32 * 32 * 9),
    ],
)
def test_ablations_remove_what_they_say(option, parameters):
    """E 9,344 -> a 16->32 convolution of 4,640; M 44,452; R 104,704 = 27,744 + 3,168 + 73,792."""
    made = network(**option)
    assert count(made) == parameters
    assert made(torch.rand(1, 2, 9, 12)).shape == (1, 1, 9, 12)


def test_mask_before_edge_runs():
    output = network(mask_before_edge=True)(torch.rand(1, 2, 16, 10), True)
    assert output.shape == (1, 3, 16, 10)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
@torch.no_grad()
def test_three_forms_agree(size, upsampling):
    straight = network(mask_upsampling=upsampling, inference_form="straight")
    image = torch.rand(3, 2, *size)
    expected = straight(image, True)
    for form in ("masked", "sparse"):
        other = GeSeNet(mask_upsampling=upsampling, inference_form=form).eval()
        other.load_state_dict(straight.state_dict())
        torch.testing.assert_close(other(image, True), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_masks_of_these_tests_are_mixed():
    for upsampling in ("transposed", "bilinear"):
        shares = network(mask_upsampling=upsampling)(torch.rand(1, 2, 64, 64), True)[:, 1:].mean((2, 3))
        assert shares.min() > 0.2
        assert shares.max() < 0.8


@pytest.mark.parametrize("size", SIZES)
def test_any_size_in_range(size):
    output = network()(torch.rand(2, 2, *size), return_masks=True)
    assert output.shape == (2, 3, *size)
    assert output.min() >= 0
    assert output.max() <= 1
    assert set(output[:, 1:].unique().tolist()) <= {0.0, 1.0}


@torch.no_grad()
def test_pictures_of_a_batch_do_not_influence_each_other():
    made = network()
    images = torch.rand(3, 2, 20, 18)
    together = made(images)
    for index in range(3):
        torch.testing.assert_close(made(images[index : index + 1]), together[index : index + 1], rtol=0, atol=1e-5)


@torch.no_grad()
def test_branches_are_not_interchangeable():
    made, image = network(), torch.rand(1, 2, 16, 16)
    assert (made(image) - made(image.flip(1))).abs().max() > 1e-4


@torch.no_grad()
def test_output_range_reaches_black_and_white():
    made = network(output_range=(-0.05, 1.05))
    for value in (-20.0, 20.0):
        torch.nn.init.constant_(made.decoder[2].bias, value)
        assert (made(torch.rand(1, 2, 8, 8)) == (0.0 if value < 0 else 1.0)).all()
    with pytest.raises(ValueError, match="output_range"):
        GeSeNet(output_range=(0.1, 1.0))


def test_gradient_flows_beyond_the_output_range():
    made = network(output_range=(-0.05, 1.05)).train()
    torch.nn.init.constant_(made.decoder[2].bias, -3.0)
    made(torch.rand(1, 2, 8, 8)).sum().backward()
    assert made.decoder[2].bias.grad.abs() > 0


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_torchscript_gives_equal_output_for_any_size(upsampling):
    made = network(mask_upsampling=upsampling)
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(made), buffer)
    buffer.seek(0)
    scripted = torch.jit.load(buffer)
    with torch.no_grad():
        for size in SIZES:
            image = torch.rand(2, 2, *size)
            torch.testing.assert_close(scripted(image), made(image), rtol=0, atol=1e-5)
            torch.testing.assert_close(scripted(image, True), made(image, True), rtol=0, atol=1e-5)


def test_scripted_network_trains():
    scripted = torch.jit.script(network().train())
    output = scripted(torch.rand(2, 2, 16, 16), True)
    assert 0 < output[:, 1:].min() < output[:, 1:].max() < 1
    output.sum().backward()
    assert scripted.mri.mask.convolution.channel_mask.grad.abs().sum() > 0


def test_fused_image_of_a_training_is_in_single_precision_under_autocast():
    torch.manual_seed(0)
    network, pair = GeSeNet(), torch.rand(1, 2, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused = network.train()(pair)
    assert fused.dtype == torch.float32
    # More steps than bfloat16 has between 0 and 1.
    assert not torch.equal(fused, fused.bfloat16().float())


def test_odd_sizes_are_replicated_not_zero_padded():
    made = network()
    image = torch.rand(1, 2, 9, 11)
    padded = torch.nn.functional.pad(image, [0, 1, 0, 1], mode="replicate")
    with torch.no_grad():
        torch.testing.assert_close(made(image), made(padded)[:, :, :9, :11])


@torch.no_grad()
def test_channels_last_changes_nothing():
    made, image = network(), torch.rand(2, 2, 24, 24)
    expected = made(image)
    moved = made.to(memory_format=torch.channels_last)
    torch.testing.assert_close(moved(image.contiguous(memory_format=torch.channels_last)), expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_black_background_is_black_by_construction():
    torch.manual_seed(0)
    grey, black = GeSeNet().eval(), GeSeNet(black_background=True).eval()
    black.load_state_dict(grey.state_dict())
    image = torch.rand(1, 2, 33, 40)
    image[:, :, :10] = 0.0
    image[:, 0, 10:20] = 0.0
    expected = grey(image)
    assert expected[:, :, :10].min() > 0.1
    expected[:, :, :10] = 0.0
    assert torch.equal(black(image), expected)
