"""The encoder EN of RMR-Fusion: convolutions around two Swin stages (paper, "Network Architecture", Fig. 4)."""

import torch
import torch.nn.functional as F
from monai.networks.blocks import PatchEmbed
from monai.networks.nets.swin_unetr import BasicLayer
from torch import nn

from shared_networks.blocks.grouped_window_attention import GroupedBasicLayer
from shared_networks.blocks.padding import crop_to, next_multiple, pad_to
from shared_networks.blocks.slabs import in_one_piece, in_slabs

# Voxels in the convolutions at a time; their largest tensor holds 48 channels of them, 192 MB in float32.
_SLAB = 1_000_000


class SwinEncoder(nn.Module):
    """Encoder EN_X or EN_Y of Zhang et al., AAAI 2024, Eq. 1: one modality to features of the same size.

    Two 3x3x3 convolutions, patch embedding to half the resolution, two Swin stages (no patch merging, every second
    block with shifted windows), layer-norm over channels, transposed convolution back to full resolution, the result
    of the first convolutions added, two 3x3x3 convolutions. PReLU with one slope a channel after every convolution.
    With the default widths it has 359,084 parameters.

    The Swin stages are MONAI's; their attention runs on groups of windows, see
    :class:`shared_networks.blocks.grouped_window_attention.GroupedWindowAttention`. Odd axes are padded by one voxel.
    Inside, axes are padded to whole windows (14 voxels) by repeating the border: MONAI would fill up with zeros, which
    take part in the attention, and shrink the window of a thin volume, whose position bias is then not the trained one.
    Without gradient the convolutions of a large volume run slab by slab on a CPU, which lowers the peak of memory.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the features.
        widths: channels after the first and the second convolution; the second one is the width of the Swin stages.
        depths: blocks of each Swin stage.
        num_heads: attention heads.
        window_size: side of the attention window, in voxels of half the resolution.
        windows_per_group: windows in one call of the attention.

    Example:
        >>> SwinEncoder()(torch.rand(1, 1, 33, 20, 1)).shape
        torch.Size([1, 16, 33, 20, 1])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 16,
        widths: tuple[int, int] = (24, 48),
        depths: tuple[int, ...] = (3, 3),
        num_heads: int = 6,
        window_size: int = 7,
        windows_per_group: int | None = None,
    ) -> None:
        super().__init__()
        narrow, wide = widths
        self.window_size = window_size
        self.stem = nn.Sequential(
            nn.Conv3d(in_channels, narrow, 3, padding=1),
            nn.PReLU(narrow),
            nn.Conv3d(narrow, wide, 3, padding=1),
            nn.PReLU(wide),
        )
        self.patch_embedding = PatchEmbed(patch_size=2, in_chans=wide, embed_dim=wide, norm_layer=None)
        stages = [
            BasicLayer(
                dim=wide,
                depth=depth,
                num_heads=num_heads,
                window_size=(window_size,) * 3,
                drop_path=[0.0] * depth,
                qkv_bias=True,
            )
            for depth in depths
        ]
        self.stages = nn.Sequential(*(GroupedBasicLayer(stage, windows_per_group) for stage in stages))
        self.upsampling = nn.ConvTranspose3d(wide, wide, 2, stride=2, bias=False)
        self.head = nn.Sequential(
            nn.Conv3d(wide, narrow, 3, padding=1),
            nn.PReLU(narrow),
            nn.Conv3d(narrow, out_channels, 3, padding=1),
            nn.PReLU(out_channels),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Encode volumes, any size, B x in_channels x X x Y x Z in [0, 1] -> features, B x out_channels x X x Y x Z."""
        size = image.shape[2:]
        image = pad_to(image, next_multiple(size, 2))
        # Two convolutions of 3 reach two voxels: one plane of the tokens, at which the volume is cut.
        planes = image.shape[2] // 2
        first = in_slabs(self.stem, [image], planes, halo=1, voxels=_SLAB)
        tokens = in_slabs(self.patch_embedding, [first], planes, halo=0, voxels=_SLAB)
        half = tokens.shape[2:]
        tokens = crop_to(self.stages(pad_to(tokens, next_multiple(half, self.window_size))), half).movedim(1, -1)
        tokens = F.layer_norm(tokens, [int(tokens.shape[-1])]).movedim(-1, 1)
        if in_one_piece([first], _SLAB):
            # Added in place, and let go before the last convolutions: these are the largest tensors of a whole volume.
            joined = self.upsampling(tokens.contiguous()).add_(first)
            del first, tokens
            return crop_to(self.head(joined), size)
        return crop_to(in_slabs(self._upsample, [tokens.contiguous(), first], planes, halo=1, voxels=_SLAB), size)

    def _upsample(self, tokens: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        """Tokens and first features of twice their resolution -> features of that resolution."""
        return self.head(self.upsampling(tokens).add_(first))
