"""Region mask module: Eq. 6 and 7 against a float64 reference, and all its forms against each other."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from shared_networks.blocks.masked_region_mask import MaskedRegionMaskConvolution
from shared_networks.blocks.neighbourhoods import gather_neighbourhoods, kernel_matrix, neighbourhood_rows, pixel_rows
from shared_networks.blocks.region_mask import ChannelAttention, RegionMask, RegionMaskGenerator
from shared_networks.blocks.region_mask_convolution import RegionMaskConvolution, gumbel_softmax
from shared_networks.blocks.sparse_region_mask import SparseRegionMaskConvolution

FORMS = [RegionMaskConvolution, MaskedRegionMaskConvolution, SparseRegionMaskConvolution]
MASKS = ["all", "none", "half", "lattice", "noise", "one_pixel"]
CHANNEL_MASKS = ["random", "dense", "sparse"]


def principal_mask(kind: str, height: int, width: int) -> torch.Tensor:
    mask = torch.zeros(2, 1, height, width)
    if kind == "all":
        mask += 1
    elif kind == "half":
        mask[..., : width // 2] = 1
    elif kind == "lattice":
        mask[..., ::2, :] = 1
    elif kind == "noise":
        mask = (torch.rand(mask.shape) > 0.6).float()
    elif kind == "one_pixel":
        mask[1, 0, height - 1, 0] = 1
    return mask


def correlate(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Zero-padded 3x3 convolution of a C_in x H x W array by scipy."""
    return np.stack(
        [
            sum(ndimage.correlate(channel, kernel, mode="constant") for channel, kernel in zip(image, row, strict=True))
            for row in weight
        ]
    )


def reference(module: RegionMaskConvolution, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Eq. 7 for one picture: every output pixel is computed once knowing and once not knowing the sparse inputs."""
    parameters = {key: value.double().numpy() for key, value in module.state_dict().items()}
    dense = parameters["channel_mask"][0, :, :, 0] >= parameters["channel_mask"][0, :, :, 1]
    features, outputs = x, []
    for layer in range(len(module.convolutions)):
        weight = parameters[f"convolutions.{layer}.weight"]
        visible = np.ones(len(x), bool) if layer == 0 else dense[:, layer - 1]
        knowing, not_knowing = correlate(features, weight), correlate(features * visible[:, None, None], weight)
        everywhere = np.where(mask, knowing, not_knowing)
        result = np.where(dense[:, layer][:, None, None], everywhere, np.where(mask, knowing, 0.0))
        features = np.maximum(result, 0.0)
        outputs.append(features)
    collect = parameters["collect.weight"][:, :, 0, 0]
    return np.tensordot(collect, np.concatenate(outputs), 1) + parameters["collect.bias"][:, None, None]


def convolution(form: type, channel_mask: str, channels: int = 6) -> RegionMaskConvolution:
    torch.manual_seed(1)
    module = form(channels).eval()
    with torch.no_grad():
        if channel_mask == "dense":
            module.channel_mask[..., 0] = 2.0
        elif channel_mask == "sparse":
            module.channel_mask[..., 1] = 2.0
    return module


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("channel_mask", CHANNEL_MASKS)
@torch.no_grad()
def test_every_form_equals_the_float64_reference(form, kind, channel_mask):
    module = convolution(form, channel_mask)
    x = torch.rand(2, 6, 9, 12)
    mask = principal_mask(kind, 9, 12)
    expected = [
        reference(module, picture.double().numpy(), region.numpy() > 0) for picture, region in zip(x, mask, strict=True)
    ]
    np.testing.assert_allclose(module(x, mask).numpy(), np.stack(expected), atol=1e-5)


@pytest.mark.parametrize("share_to_gather", [0.0, 1.0])
@torch.no_grad()
def test_gathering_and_second_convolution_agree(share_to_gather):
    module = convolution(MaskedRegionMaskConvolution, "random")
    module.share_to_gather = share_to_gather
    x = torch.rand(2, 6, 16, 11).contiguous(memory_format=torch.channels_last)
    mask = principal_mask("half", 16, 11)
    torch.testing.assert_close(module(x, mask), module.straight(x, mask), rtol=0, atol=1e-5)


@torch.no_grad()
def test_inputs_are_left_alone():
    for form in FORMS:
        module = convolution(form, "random")
        x, mask = torch.rand(2, 6, 8, 8), principal_mask("half", 8, 8)
        x_before, mask_before = x.clone(), mask.clone()
        module(x, mask)
        assert torch.equal(x, x_before)
        assert torch.equal(mask, mask_before)


def test_training_takes_soft_masks_and_reaches_every_parameter():
    module = MaskedRegionMaskConvolution(4).train()
    x = torch.rand(1, 4, 6, 6, requires_grad=True)
    mask = torch.rand(1, 1, 6, 6, requires_grad=True)
    module(x, mask).square().sum().backward()
    for value in (x, mask, *module.parameters()):
        assert value.grad.abs().sum() > 0


def test_gumbel_softmax_is_a_distribution_with_the_right_winner():
    torch.manual_seed(0)
    logits = torch.tensor([0.0, 1.5]).expand(20000, 2)
    sample = gumbel_softmax(logits, 0.5, 1)
    torch.testing.assert_close(sample.sum(1), torch.ones(20000))
    # The Gumbel maximum trick: the largest entry is distributed as the softmax of the logits.
    share = (sample[:, 1] > sample[:, 0]).float().mean().item()
    assert abs(share - 1 / (1 + np.exp(-1.5))) < 0.02


def test_neighbourhoods_are_those_of_unfold():
    x = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    pixels = torch.arange(2 * 4 * 5)
    neighbours, outside = neighbourhood_rows(pixels, 2, 4, 5)
    weight = torch.rand(7, 3, 3, 3)
    product = gather_neighbourhoods(pixel_rows(x), neighbours, outside) @ kernel_matrix(weight)
    expected = torch.nn.functional.conv2d(x, weight, padding=1)
    torch.testing.assert_close(product.view(2, 4, 5, 7).permute(0, 3, 1, 2), expected)


@pytest.mark.parametrize("upsampling", ["transposed", "bilinear"])
def test_generator_is_hard_outside_training_and_soft_in_it(upsampling):
    torch.manual_seed(0)
    generator = RegionMaskGenerator(32, upsampling=upsampling)
    x = torch.randn(3, 32, 10, 14)
    hard = generator.eval()(x)
    assert hard.shape == (3, 1, 10, 14)
    assert set(hard.unique().tolist()) <= {0.0, 1.0}
    soft = generator.train()(x)
    assert 0 < soft.min() < soft.max() < 1
    assert sum(p.numel() for p in generator.parameters()) == (32 * 8 * 9 + 8) + (8 * 8 * 9 + 8) + (8 * 2 * 9 + 2)


def test_ties_are_redundant_pixels_and_dense_channels():
    generator = RegionMaskGenerator(4).eval()
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
    assert generator(torch.rand(1, 4, 4, 4)).sum() == 0
    module = RegionMaskConvolution(4).eval()
    with torch.no_grad():
        module.channel_mask.fill_(0.3)
    assert torch.equal(module.dense_channels(), torch.ones(1, 4, 4))


def test_channel_attention_depends_on_the_mean_only():
    torch.manual_seed(0)
    attention = ChannelAttention(4).double()
    x = torch.rand(1, 4, 6, 6, dtype=torch.float64)
    rolled = x.roll((2, 3), dims=(2, 3))
    torch.testing.assert_close(attention(x).roll((2, 3), dims=(2, 3)), attention(rolled), rtol=1e-12, atol=0)
    weight = (attention(x) / x)[0, :, 0, 0]
    assert ((weight > 0) & (weight < 1)).all()


def test_region_mask_is_a_residual():
    module = RegionMask(32).eval()
    with torch.no_grad():
        module.convolution.collect.weight.zero_()
        module.convolution.collect.bias.zero_()
    x = torch.rand(1, 32, 6, 6)
    assert torch.equal(module(x)[0], x)


def test_unknown_choices_are_refused():
    with pytest.raises(ValueError, match="upsampling"):
        RegionMaskGenerator(4, upsampling="nearest")
    with pytest.raises(ValueError, match="masked, sparse, straight"):
        RegionMask(4, form="dense")
