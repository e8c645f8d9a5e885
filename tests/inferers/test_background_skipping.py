"""Skipping black surroundings: the box, exactness where it must be exact, GeSeNet on a real-sized picture."""

from pathlib import Path

import pytest
import torch

from shared_networks.blocks.region_mask import ChannelAttention
from shared_networks.inferers import BackgroundSkipping, FusionInferer
from shared_networks.inferers.background_skipping import content_box
from shared_networks.nets import GeSeNet, MaximumFusion

WEIGHTS = Path(__file__).parents[2] / "gesenet_bundle" / "models" / "model.pt"


def picture(height: int = 96, width: int = 120) -> torch.Tensor:
    image = torch.zeros(1, 2, height, width)
    image[:, 0, 40:60, 50:70] = torch.rand(20, 20) * 0.9 + 0.1
    image[:, 1, 45:64, 48:65] = 0.5
    return image


def test_box_is_the_union_of_both_sources_with_even_corners():
    assert content_box(picture()[0], 0) == (slice(40, 64), slice(48, 70))
    assert content_box(picture()[0], 5) == (slice(34, 70), slice(42, 76))
    assert content_box(picture()[0], 1000) == (slice(0, 96), slice(0, 120))
    assert content_box(torch.zeros(2, 4, 4), 3) is None


def test_local_network_is_exact():
    image = torch.cat([picture(), torch.zeros(1, 2, 96, 120), torch.rand(1, 2, 96, 120)])
    rule = MaximumFusion()
    assert torch.equal(BackgroundSkipping(rule, margin=0)(image), rule(image))


class AttentionOnly(torch.nn.Module):
    """No convolution, so that nothing but the average of the attention knows of the rest of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = ChannelAttention(2)
        for parameter in self.attention.parameters():
            torch.nn.init.constant_(parameter, 0.5)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.attention(image - 0.02)[:, :1]


@torch.no_grad()
def test_attention_still_averages_over_the_whole_picture():
    network, image, box = AttentionOnly(), picture(), (slice(40, 64), slice(48, 70))
    expected = network(image)[..., box[0], box[1]]
    torch.testing.assert_close(BackgroundSkipping(network, margin=0)(image)[..., box[0], box[1]], expected)
    assert (network(image[..., box[0], box[1]]) - expected).abs().max() > 1e-3


@torch.no_grad()
def test_shipped_weights_give_the_picture_of_the_whole_network():
    network = GeSeNet(mask_upsampling="bilinear", output_range=(-0.05, 1.05)).eval()
    network.load_state_dict(torch.load(WEIGHTS, map_location="cpu", weights_only=True))
    image = picture()
    output = BackgroundSkipping(network, margin=32)(image)
    expected = network(image)
    inner = (slice(None), slice(None), slice(24, 80), slice(32, 86))
    assert expected[inner].max() > 0.5
    torch.testing.assert_close(output[inner], expected[inner], rtol=0, atol=1e-5)


@torch.no_grad()
def test_hooks_are_gone_afterwards_and_outside_is_black():
    network = GeSeNet().eval()
    image = picture()
    before = network(image)
    output = BackgroundSkipping(network, margin=4)(image, return_masks=True)
    assert torch.equal(network(image), before)
    assert output.shape == (1, 3, 96, 120)
    outside = torch.ones(96, 120, dtype=torch.bool)
    outside[36:68, 44:74] = False
    assert output[:, :, outside].abs().sum() == 0


@torch.no_grad()
def test_as_an_option_of_the_inferer_on_a_volume():
    volume = torch.zeros(1, 2, 24, 30, 4)
    volume[:, :, 8:14, 10:16, 1:3] = 0.7
    rule = MaximumFusion()
    plain = FusionInferer(sw_batch_size=3)(volume, rule)
    assert torch.equal(FusionInferer(sw_batch_size=3, skip_background=True)(volume, rule), plain)


def test_negative_margin_is_refused():
    with pytest.raises(ValueError, match="margin"):
        BackgroundSkipping(MaximumFusion(), margin=-1)
