"""MONAI's shifted-window attention with a memory that does not grow with the volume."""

import math
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from monai.networks.nets.swin_unetr import BasicLayer, WindowAttention, get_window_size
from torch import nn

__all__ = ["GroupedBasicLayer", "GroupedWindowAttention", "WindowMasks", "group_windows"]


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


class GroupedWindowAttention(WindowAttention):
    """MONAI's own window attention, called on a few windows at a time that have the same mask.

    Windows do not see each other, so the result is the same up to rounding; the attention maps and the position bias
    expanded to windows exist for ``windows_per_group`` windows only. Parameters and their names are MONAI's, whose
    state dicts can be loaded; the constant table ``relative_position_index`` is left out of this module's own ones.

    Args:
        attention: the module whose settings and weights are taken.
        windows_per_group: windows in one call, at least 1.
        fused: use PyTorch's fused attention where no gradient is recorded (MONAI's ``use_flash_attention``).

    Raises:
        ValueError: when ``windows_per_group`` is below 1.
    """

    def __init__(self, attention: WindowAttention, windows_per_group: int = 64, fused: bool = True) -> None:
        super().__init__(
            attention.dim,
            attention.num_heads,
            attention.window_size,
            qkv_bias=attention.qkv.bias is not None,
            attn_drop=attention.attn_drop.p,
            proj_drop=attention.proj_drop.p,
            use_flash_attention=fused,
        )
        if windows_per_group < 1:
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
        if mask is None:
            return self._in_groups(x, None)
        volumes = x.unflatten(0, (-1, mask.order.numel()))
        parts = [
            self._in_groups(volumes.index_select(1, windows).flatten(0, 1), same)
            for same, windows in zip(mask.masks, mask.windows, strict=True)
        ]
        joined = torch.cat([part.unflatten(0, (volumes.shape[0], -1)) for part in parts], dim=1)
        return joined.index_select(1, mask.order).flatten(0, 1)

    def _load_from_state_dict(self, state_dict: dict[str, torch.Tensor], prefix: str, *args: object) -> None:
        state_dict.pop(f"{prefix}relative_position_index", None)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _in_groups(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        mask = None if mask is None else mask[None]
        if x.shape[0] <= self.windows_per_group:
            return super().forward(x, mask)
        attend = super().forward
        return torch.cat([attend(group, mask) for group in x.split(self.windows_per_group)])


class GroupedBasicLayer(nn.Module):
    """MONAI's Swin stage (``BasicLayer``) with :class:`GroupedWindowAttention` in its blocks.

    The blocks are MONAI's own; the stage gives them the distinct masks instead of one mask a window. The names of the
    parameters stay, so a state dict of the plain stage can be loaded.

    Args:
        layer: the stage to take over; its blocks are changed and must not be used elsewhere.
        windows_per_group: see :class:`GroupedWindowAttention`.
        fused: see :class:`GroupedWindowAttention`.
    """

    def __init__(self, layer: BasicLayer, windows_per_group: int = 64, fused: bool = True) -> None:
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
        mask = WindowMasks.of(padded, window_size, shift_size, x.device) if any(shift_size) else None
        x = x.movedim(1, -1)
        for block in self.blocks:
            x = block(x, mask)
        if self.downsample is not None:
            x = self.downsample(x)
        return x.movedim(-1, 1)


def group_windows(network: nn.Module, windows_per_group: int = 64, fused: bool = True) -> nn.Module:
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
