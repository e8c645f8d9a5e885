"""Bilateral attention decoder blocks: closed forms with known weights, and their invariants."""

import pytest
import torch

from shared_networks.blocks.bilateral_attention import (
    BilateralAttentionFusion,
    ChannelAttention,
    PoolingFusing,
    SpatialAttention,
)


def _zero(module: torch.nn.Module) -> None:
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)


def test_channel_attention_with_zero_weights_is_one_and_a_half_times_the_input():
    block = ChannelAttention(8)
    _zero(block)
    x = torch.randn(2, 8, 5, 7)
    torch.testing.assert_close(block(x), 1.5 * x)  # sigmoid(0) = 0.5, plus the input


def test_channel_attention_weighs_a_whole_channel_alike():
    x = torch.rand(1, 8, 6, 6) + 0.1
    ratio = ChannelAttention(8)(x) / x
    torch.testing.assert_close(ratio, ratio.mean(dim=(2, 3), keepdim=True).expand_as(ratio))
    assert (ratio > 1).all() and (ratio < 2).all()


def test_channel_attention_depends_on_the_means_of_the_channels_alone():
    block, x = ChannelAttention(4), torch.rand(1, 4, 4, 4) + 0.1
    shuffled = x.flatten(2)[:, :, torch.randperm(16)].reshape(x.shape)
    torch.testing.assert_close((block(x) / x)[..., 0, 0], (block(shuffled) / shuffled)[..., 0, 0])


def test_spatial_attention_weighs_all_channels_of_a_position_alike():
    x = torch.rand(1, 6, 9, 9) + 0.1
    ratio = SpatialAttention()(x) / x
    torch.testing.assert_close(ratio, ratio.mean(dim=1, keepdim=True).expand_as(ratio))
    assert ratio.std(dim=(2, 3)).min() > 0


def test_spatial_attention_reads_mean_and_maximum_of_the_channels():
    block = SpatialAttention(1)
    with torch.no_grad():
        block.convolution.weight.copy_(torch.tensor([1.0, -2.0]).reshape(1, 2, 1, 1))
        block.convolution.bias.fill_(0.5)
    x = torch.tensor([1.0, 3.0]).reshape(1, 2, 1, 1)
    weight = 1 / (1 + 2.718281828 ** -(2.0 - 2 * 3.0 + 0.5))  # mean 2, maximum 3
    torch.testing.assert_close(block(x).flatten(), torch.tensor([1.0, 3.0]) * (1 + weight))


def test_spatial_attention_refuses_an_even_kernel():
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        SpatialAttention(4)


def test_pooling_fusing_sees_the_sum_and_its_average_over_windows():
    block = PoolingFusing(1).eval()
    with torch.no_grad():
        block.fuse[0].weight.zero_()
        block.fuse[0].weight[0, 1, 1, 1] = 1.0  # the pooled copy, centre tap
    low = torch.zeros(1, 1, 4, 4)
    low[0, 0, 0, 0], low[0, 0, 3, 3] = 8.0, 36.0
    expected = torch.zeros(4, 4)
    expected[:2, :2] = torch.tensor([[2.0, 8 / 6], [8 / 6, 8 / 9]])  # 4, 6 or 9 positions lie inside the picture
    expected[2:, 2:] = torch.tensor([[4.0, 6.0], [6.0, 9.0]])
    fused = block(torch.zeros(1, 1, 2, 2), low)[0, 0]
    torch.testing.assert_close(fused * (1 + 1e-5) ** 0.5, expected)  # batch norm divides by sqrt(1 + eps)


def test_pooling_fusing_brings_the_high_level_maps_to_the_low_level_grid():
    block = PoolingFusing(2).eval()
    low = torch.zeros(1, 2, 7, 5)
    torch.testing.assert_close(block(torch.ones(1, 2, 2, 2), low), block(torch.zeros(1, 2, 2, 2), low + 1))


@pytest.mark.parametrize(("high", "low"), [((3, 4), (6, 8)), ((1, 1), (1, 1)), ((2, 3), (3, 5))])
def test_fusion_step_takes_the_low_level_size(high, low):
    block = BilateralAttentionFusion(8, 6, 4).eval()
    assert block(torch.rand(2, 8, *high), torch.rand(2, 6, *low)).shape == (2, 4, *low)
