"""Grouped attention is MONAI's own stage, with less memory."""

import copy

import pytest
import torch
from monai.networks.nets import SwinUNETR, UNet
from monai.networks.nets.swin_unetr import BasicLayer, compute_mask

from shared_networks.blocks.grouped_window_attention import (
    GroupedBasicLayer,
    GroupedWindowAttention,
    WindowMasks,
    group_windows,
)

# One window, several, not multiples of the window, thinner than a window, one voxel.
SIZES = [(4, 4, 4), (12, 8, 8), (9, 5, 7), (6, 13, 1), (3, 9, 10), (1, 1, 1)]


def stage(**keywords):
    """MONAI's plain stage of three blocks, the second one with shifted windows."""
    torch.manual_seed(0)
    return BasicLayer(12, 3, 3, (4, 4, 4), [0.0] * 3, qkv_bias=True, **keywords)


def volume(size, dtype=torch.float64, batch=2):
    return torch.randn(batch, 12, *size, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("windows_per_group", [1, 3, 64])
def test_equals_the_plain_stage_and_its_gradients(size, windows_per_group):
    plain = stage().double()
    grouped = GroupedBasicLayer(copy.deepcopy(plain), windows_per_group)
    x, y = volume(size).requires_grad_(), volume(size).requires_grad_()
    expected, result = plain(x), grouped(y)
    assert (result - expected).abs().max() < 1e-10
    assert expected.std() > 0.5
    (expected**2).sum().backward()
    (result**2).sum().backward()
    assert (x.grad - y.grad).abs().max() < 1e-9
    for (name, first), second in zip(plain.named_parameters(), grouped.parameters(), strict=True):
        assert (first.grad - second.grad).abs().max() <= 1e-9 * first.grad.abs().max() + 1e-12, name


@pytest.mark.parametrize("size", SIZES)
def test_fused_attention_is_the_same_where_no_gradient_is_recorded(size, monkeypatch):
    plain, calls = stage(), []
    grouped = GroupedBasicLayer(copy.deepcopy(plain), 2)
    original = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *arguments, **keywords: calls.append(1) or original(*arguments, **keywords),
    )
    x = volume(size, torch.float32)
    with torch.no_grad():
        expected = plain(x)
        assert not calls
        assert (grouped(x) - expected).abs().max() < 1e-5
    assert calls
    calls.clear()
    assert (grouped(x) - expected).abs().max() < 1e-5
    assert not calls


def test_never_more_windows_at_a_time_than_asked_for(monkeypatch):
    seen, original = [], GroupedWindowAttention._attend
    monkeypatch.setattr(
        GroupedWindowAttention, "_attend", lambda self, x, bias: seen.append(x.shape[0]) or original(self, x, bias)
    )
    GroupedBasicLayer(stage(), 5)(volume((9, 13, 8), torch.float32, batch=3))
    windows = 3 * 4 * 2 * 3
    assert max(seen) == 5 and sum(seen) == 3 * windows


@pytest.mark.parametrize("grid", [(1, 1, 1), (2, 1, 3), (2, 2, 2), (3, 4, 5)])
def test_masks_are_those_of_monai_stored_once(grid):
    window = (4, 3, 2)
    # An axis of one window is not shifted (MONAI's get_window_size).
    shift = tuple(side // 2 if count > 1 else 0 for count, side in zip(grid, window, strict=True))
    size = tuple(count * side for count, side in zip(grid, window, strict=True))
    expected = compute_mask(size, window, shift, "cpu")
    masks = WindowMasks.of(size, window, shift)
    assert masks.order.numel() == expected.shape[0]
    assert len(masks.masks) == 2 ** sum(count > 1 for count in grid)
    assert torch.cat(masks.windows)[masks.order].tolist() == list(range(expected.shape[0]))
    for mask, windows in zip(masks.masks, masks.windows, strict=True):
        same = torch.zeros_like(expected[0]) if mask is None else mask
        assert torch.equal(expected[windows], same.expand(len(windows), -1, -1))
    assert masks.masks[0] is None


def test_state_dicts_of_the_plain_stage_are_taken_and_own_ones_hold_no_constants():
    plain = stage()
    grouped = GroupedBasicLayer(stage(), 2)
    torch.nn.init.normal_(plain.blocks[0].attn.relative_position_bias_table)
    x = volume((9, 5, 7), torch.float32)
    assert not torch.allclose(grouped(x), plain(x), atol=1e-3)
    grouped.load_state_dict(plain.state_dict())
    assert torch.allclose(grouped(x), plain(x), atol=1e-5)
    assert set(grouped.state_dict()) == {name for name, _ in plain.named_parameters()}
    twin = GroupedBasicLayer(stage(), 2)
    twin.load_state_dict(grouped.state_dict())
    assert torch.equal(twin(x), grouped(x))


def test_every_stage_of_a_network_is_replaced():
    torch.manual_seed(0)
    plain = SwinUNETR(in_channels=2, out_channels=3, feature_size=12, depths=(2, 2, 1, 1)).eval()
    grouped = group_windows(copy.deepcopy(plain), 4)
    assert sum(isinstance(module, GroupedWindowAttention) for module in grouped.modules()) == 6
    assert not any(isinstance(module, BasicLayer) for module in grouped.modules())
    x = torch.rand(1, 2, 64, 32, 32)
    with torch.no_grad():
        assert (grouped(x) - plain(x)).abs().max() < 1e-4
    assert sum(p.numel() for p in grouped.parameters()) == sum(p.numel() for p in plain.parameters())


def test_networks_without_windows_stay():
    network = UNet(3, 2, 2, (4, 8), (2,))
    before = [id(module) for module in network.modules()]
    assert group_windows(network) is network
    assert [id(module) for module in network.modules()] == before


def test_group_size_is_checked():
    with pytest.raises(ValueError, match="windows_per_group must be at least 1, got 0"):
        GroupedBasicLayer(stage(), 0)
