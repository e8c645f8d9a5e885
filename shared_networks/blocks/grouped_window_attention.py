"""MONAI's shifted-window attention with a memory that does not grow with the volume."""

from itertools import product
from typing import NamedTuple

import torch
from monai.networks.nets.swin_unetr import BasicLayer, WindowAttention, compute_mask, get_window_size
from torch import nn

__all__ = ["GroupedBasicLayer", "GroupedWindowAttention", "WindowMasks", "group_windows"]


class WindowMasks(NamedTuple):
    """The attention mask of every window of a volume, each distinct mask stored once.

    With shifted windows only the last window of an axis holds voxels from both ends of the volume. So a volume of any
    size has at most eight distinct masks, and most windows need none.

    Attributes:
        masks: per distinct mask, n x n tensor of 0 and -100 (n = voxels of a window), or None where all is 0.
        windows: per distinct mask, the numbers of its windows in the order of MONAI's ``window_partition``.
        count: number of windows in the volume.
    """

    masks: tuple[torch.Tensor | None, ...]
    windows: tuple[torch.Tensor, ...]
    count: int

    @classmethod
    def of(
        cls,
        spatial_size: tuple[int, ...],
        window_size: tuple[int, ...],
        shift_size: tuple[int, ...],
        device: torch.device | str = "cpu",
    ) -> "WindowMasks":
        """Masks of a volume whose ``spatial_size`` was padded to multiples of ``window_size``."""
        grid = [size // window for size, window in zip(spatial_size, window_size, strict=True)]
        # A volume of two windows an axis has all the cases: an inner window and the last one.
        small = [min(windows, 2) for windows in grid]
        small_size = [windows * window for windows, window in zip(small, window_size, strict=True)]
        distinct = compute_mask(small_size, window_size, shift_size, device)
        numbers = torch.arange(grid[0] * grid[1] * grid[2], device=device).reshape(grid)
        masks, windows = [], []
        for mask, corner in zip(distinct, product(*(range(cases) for cases in small)), strict=True):
            last = [position == cases - 1 for position, cases in zip(corner, small, strict=True)]
            # Told from the position, not from the values, which an export must not depend on.
            masked = any(at_end and shift for at_end, shift in zip(last, shift_size, strict=True))
            masks.append(mask if masked else None)
            where = tuple(
                slice(count - 1, None) if at_end else slice(0, count - 1)
                for at_end, count in zip(last, grid, strict=True)
            )
            windows.append(numbers[where].flatten())
        return cls(tuple(masks), tuple(windows), numbers.numel())


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
        volumes = x.unflatten(0, (-1, mask.count))
        parts = [
            self._in_groups(volumes[:, windows].flatten(0, 1), same)
            for same, windows in zip(mask.masks, mask.windows, strict=True)
        ]
        order = torch.cat(mask.windows).argsort()
        return torch.cat([part.unflatten(0, (volumes.shape[0], -1)) for part in parts], dim=1)[:, order].flatten(0, 1)

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
