"""MONAI's shifted-window attention with a memory that does not grow with the volume."""

import math
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from monai.networks.nets.swin_unetr import BasicLayer, WindowAttention, get_window_size
from torch import nn

from shared_networks.utils.constant_cache import cached_constants

# Windows in one call of the attention.
_ON_CPU, _ON_GPU = 64, 512
# Channels of a head that fill the registers of the CPU's fused kernel; heads of 8 take longer than heads of 16.
_FULL_HEAD = 16


class WindowMasks(NamedTuple):
    """The attention mask of every window of a volume, each distinct mask stored once.

    With shifted windows only the last window of an axis holds voxels from both ends of the volume. So a volume of any
    size has at most eight distinct masks, and most windows need none.

    Attributes:
        masks: per distinct mask, n x n tensor of 0 and -100 (n = voxels of a window), or None where all is 0.
        windows: per distinct mask, the numbers of its windows in the order of MONAI's ``window_partition``.
        order: for each window of the volume, its place among ``windows`` one after the other.
    """

    masks: tuple[torch.Tensor | None, ...]
    windows: tuple[torch.Tensor, ...]
    order: torch.Tensor

    @classmethod
    def of(
        cls,
        spatial_size: tuple[int, ...],
        window_size: tuple[int, ...],
        shift_size: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> "WindowMasks":
        """Masks of a volume whose ``spatial_size`` was padded to multiples of ``window_size``.

        They equal those of MONAI's ``compute_mask``. They are made by NumPy, so that a trace or an exported graph holds
        them as constants: MONAI's way is thousands of nodes, which took most of the time of an export.
        """
        grid = [size // window for size, window in zip(spatial_size, window_size, strict=True)]
        numbers = np.arange(math.prod(grid)).reshape(grid)
        masks, windows = [], []
        # Along each axis there are inner windows, if any, and the last one.
        for ends in product(*((False, True) if count > 1 else (True,) for count in grid)):
            where = tuple(slice(-1, None) if at_end else slice(0, -1) for at_end in ends)
            windows.append(numbers[where].flatten())
            same = np.ones((1, 1), bool)
            for at_end, side, shift in zip(ends, window_size, shift_size, strict=True):
                # The last ``shift`` voxels of the last window are the first ones of the volume.
                wrapped = np.arange(side) >= side - (shift if at_end else 0)
                same = np.kron(same, wrapped[:, None] == wrapped)
            masks.append(None if same.all() else np.where(same, 0.0, -100.0).astype(np.float32))
        order = np.concatenate(windows).argsort()
        return cls(
            tuple(None if mask is None else torch.tensor(mask, device=device) for mask in masks),
            tuple(torch.tensor(numbers, device=device) for numbers in windows),
            torch.tensor(order, device=device),
        )


@cached_constants
def _window_masks(
    spatial_size: tuple[int, ...], window_size: tuple[int, ...], shift_size: tuple[int, ...], device: torch.device
) -> WindowMasks:
    """:meth:`WindowMasks.of`, once for each size and device: blocks, stages, encoders and steps ask for the same."""
    return WindowMasks.of(spatial_size, window_size, shift_size, device)


class GroupedWindowAttention(WindowAttention):
    """MONAI's window attention on a few windows at a time that have the same mask.

    Windows do not see each other, so the result is the same up to rounding; the attention maps exist for
    ``windows_per_group`` windows only. The position bias, which MONAI gathers from its table in every call, is gathered
    once for all groups of a forward pass (not kept longer: it is learnt). Parameters and their names are MONAI's,
    whose state dicts can be loaded; the constant table ``relative_position_index`` is left out of this module's own.

    Args:
        attention: the module whose settings and weights are taken.
        windows_per_group: windows in one call, at least 1; None for 64 on a CPU, whose caches they fill, and 512 on
            another device.
        fused: use PyTorch's fused attention where no gradient is recorded (MONAI's ``use_flash_attention``).

    Raises:
        ValueError: when ``windows_per_group`` is below 1.
    """

    def __init__(self, attention: WindowAttention, windows_per_group: int | None = None, fused: bool = True) -> None:
        super().__init__(
            attention.dim,
            attention.num_heads,
            attention.window_size,
            qkv_bias=attention.qkv.bias is not None,
            attn_drop=attention.attn_drop.p,
            proj_drop=attention.proj_drop.p,
            use_flash_attention=fused,
        )
        if windows_per_group is not None and windows_per_group < 1:
            raise ValueError(f"windows_per_group must be at least 1, got {windows_per_group!r}.")
        self.windows_per_group = windows_per_group
        # A constant of 0.9 MB a block, as large as the weights of a compact network: kept out of checkpoints.
        self.register_buffer("relative_position_index", attention.relative_position_index, persistent=False)
        self.to(attention.qkv.weight).load_state_dict(attention.state_dict())

    def forward(self, x: torch.Tensor, mask: WindowMasks | None) -> torch.Tensor:
        """Attend inside each window.

        Args:
            x: (B * windows) x n x channels, the windows of one volume after the other.
            mask: masks of the windows of one volume; None when the windows are not shifted.

        Returns:
            The same shape as ``x``.
        """
        bias = self._position_bias(x.shape[1])
        if mask is None:
            return self._in_groups(x, bias)
        volumes = x.unflatten(0, (-1, mask.order.numel()))
        parts = [
            self._in_groups(volumes.index_select(1, windows).flatten(0, 1), bias if same is None else bias + same)
            for same, windows in zip(mask.masks, mask.windows, strict=True)
        ]
        joined = torch.cat([part.unflatten(0, (volumes.shape[0], -1)) for part in parts], dim=1)
        return joined.index_select(1, mask.order).flatten(0, 1)

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *args: object) -> None:
        state_dict.pop(f"{prefix}relative_position_index", None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _position_bias(self, voxels: int) -> torch.Tensor:
        """Learnt bias of every pair of voxels of a window, heads x n x n."""
        pairs = self.relative_position_index[:voxels, :voxels].reshape(-1)
        bias = self.relative_position_bias_table.index_select(0, pairs).view(voxels, voxels, -1)
        return bias.permute(2, 0, 1).contiguous()

    def _in_groups(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        together = self.windows_per_group or (_ON_CPU if x.device.type == "cpu" else _ON_GPU)
        if x.shape[0] <= together:
            return self._attend(x, bias)
        return torch.cat([self._attend(group, bias) for group in x.split(together)])

    def _attend(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """WindowAttention.forward with a given bias (heads x n x n, mask included), the same for all windows."""
        windows, voxels, channels = x.shape
        qkv = self.qkv(x).reshape(windows, voxels, 3, self.num_heads, channels // self.num_heads)
        fused, width = self.use_flash_attention and not torch.is_grad_enabled(), qkv.shape[-1]
        if fused and width < _FULL_HEAD and x.device.type == "cpu":
            qkv = F.pad(qkv, (0, _FULL_HEAD - width))
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        if fused:
            # Expanded over the windows here, the bias would be copied for each of them where CUDA's kernel aligns it.
            every = bias.to(query.dtype)[None]
            seen = F.scaled_dot_product_attention(query, key, value, attn_mask=every, scale=self.scale)[..., :width]
        else:
            attention = self.softmax((query * self.scale) @ key.transpose(-2, -1) + bias)
            seen = self.attn_drop(attention).to(value.dtype) @ value
        return self.proj_drop(self.proj(seen.transpose(1, 2).reshape(windows, voxels, channels)))


class GroupedBasicLayer(nn.Module):
    """MONAI's Swin stage (``BasicLayer``) with :class:`GroupedWindowAttention` in its blocks.

    The blocks are MONAI's own; the stage gives them the distinct masks instead of one mask a window. The names of the
    parameters stay, so a state dict of the plain stage can be loaded.

    Args:
        layer: the stage to take over; its blocks are changed and must not be used elsewhere.
        windows_per_group: see :class:`GroupedWindowAttention`.
        fused: see :class:`GroupedWindowAttention`.
    """

    def __init__(self, layer: BasicLayer, windows_per_group: int | None = None, fused: bool = True) -> None:
        super().__init__()
        self.window_size = tuple(layer.window_size)
        self.shift_size = tuple(layer.shift_size)
        self.blocks = layer.blocks
        self.downsample = layer.downsample
        for block in self.blocks:
            block.attn = GroupedWindowAttention(block.attn, windows_per_group, fused)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x C x X x Y x Z -> the same shape, or what the stage's downsampling makes of it."""
        size = tuple(int(length) for length in x.shape[2:])
        window_size, shift_size = get_window_size(size, self.window_size, self.shift_size)
        padded = tuple(-(-length // window) * window for length, window in zip(size, window_size, strict=True))
        mask = _window_masks(padded, window_size, shift_size, x.device) if any(shift_size) else None
        x = x.movedim(1, -1)
        for block in self.blocks:
            x = block(x, mask)
        if self.downsample is not None:
            x = self.downsample(x)
        return x.movedim(-1, 1)


def group_windows(network: nn.Module, windows_per_group: int | None = None, fused: bool = True) -> nn.Module:
    """Replace every three-dimensional Swin stage inside a network by its grouped form, in place.

    Args:
        network: for example MONAI's ``SwinUNETR``; a network without Swin stages stays as it is.
        windows_per_group: see :class:`GroupedWindowAttention`.
        fused: see :class:`GroupedWindowAttention`.

    Returns:
        ``network``.
    """
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BasicLayer) and len(child.window_size) == 3 and not child.use_hyena:
                setattr(module, name, GroupedBasicLayer(child, windows_per_group, fused))
    return network
