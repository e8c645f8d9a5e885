"""GeSeNet, the fusion network (Li et al., IEEE TNNLS 2023, doi 10.1109/TNNLS.2023.3293274)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from shared_networks.blocks.concatenated_convolution import convolve_concatenation
from shared_networks.blocks.edge_enhancement import EdgeEnhancement
from shared_networks.blocks.global_refinement import GlobalRefinement
from shared_networks.blocks.region_mask import RegionMask


class _Branch(nn.Module):
    """Stem, edge enhancement E and region mask M of one modality, in either order."""

    def __init__(
        self,
        edge_enhancement: bool,
        region_mask: bool,
        mask_before_edge: bool,
        temperature: float,
        mask_upsampling: Literal["transposed", "bilinear"],
        inference_form: str,
    ) -> None:
        super().__init__()
        self.mask_before_edge = mask_before_edge
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.LeakyReLU(0.2, inplace=True))
        if edge_enhancement:
            self.edge: nn.Module = EdgeEnhancement(16, 32)
        else:
            self.edge = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.LeakyReLU(0.2, inplace=True))
        self.mask: nn.Module | None = None
        if region_mask:
            self.mask = RegionMask(16 if mask_before_edge else 32, temperature, mask_upsampling, inference_form)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """B x 1 x H x W -> edge-enhanced features, mask-optimised features (B x 32 x H x W each), principal mask."""
        features = self.stem(x)
        if not self.training and features.device.type == "cpu":
            # oneDNN convolves faster in this order; training keeps the order that its caller chose.
            features = features.contiguous(memory_format=torch.channels_last)
        principal = torch.ones_like(x)
        if self.mask is None:
            edge = self.edge(features)
            return edge, edge, principal
        if self.mask_before_edge:
            masked, principal = self.mask(features)
            edge = self.edge(masked)
            return edge, edge, principal
        edge = self.edge(features)
        masked, principal = self.mask(edge)
        return edge, masked, principal


class GeSeNet(nn.Module):
    """General semantic-guided network with couple mask ensemble: one MRI and one CT, PET or SPECT picture in, one out.

    Two branches (stem, edge enhancement E of Eq. 1, region mask M of Eq. 6 and 7) are joined by the global refinement R
    (Eq. 3 and 8), to which the edge features of the second branch are added by a skip connection. With the default
    structure it has 240,585 trainable parameters (paper: 0.240 M). Where the paper and the checkpoint that its authors
    released differ, the structure is the checkpoint's: ReLU inside the mask generator, convolutions of R.

    The switches are the ablations of the paper's Table III and Fig. 12.

    Args:
        edge_enhancement: without it a 3x3 convolution 16 -> 32 with LeakyReLU takes the place of E.
        region_mask: without it M is the identity.
        global_refinement: without it the joined features go to the decoder as they are.
        skip: feed the second branch's edge features to the decoder.
        mask_before_edge: M before E, as in Fig. 12(a).
        temperature: theta of Eq. 6 and 7 (0.5 in the paper, 1 in the released code).
        mask_upsampling: ``"transposed"`` (paper) or ``"bilinear"``, see
            :class:`shared_networks.blocks.region_mask.RegionMaskGenerator`.
        output_range: lowest and highest value that the output activation ``tanh(x) / 2 + 0.5`` is stretched to before
            it is clamped to [0, 1]. The paper's (0, 1) never reaches 0, so that a black background turns grey; a
            slightly wider range reaches both ends. In training values beyond [0, 1] keep 1 % of their excess, so
            that the gradient does not vanish.
        inference_form: ``"masked"``, ``"sparse"`` or ``"straight"``: how the region mask convolutions are computed
            outside training, with equal results, see :class:`shared_networks.blocks.region_mask.RegionMask`.
        black_background: where both sources are exactly 0 the fused picture is 0 too (not in the paper).

    Example:
        >>> GeSeNet()(torch.rand(1, 2, 33, 47)).shape
        torch.Size([1, 1, 33, 47])
    """

    def __init__(
        self,
        edge_enhancement: bool = True,
        region_mask: bool = True,
        global_refinement: bool = True,
        skip: bool = True,
        mask_before_edge: bool = False,
        temperature: float = 0.5,
        mask_upsampling: Literal["transposed", "bilinear"] = "transposed",
        output_range: tuple[float, float] = (0.0, 1.0),
        inference_form: str = "masked",
        black_background: bool = False,
    ) -> None:
        super().__init__()
        self.black_background = black_background
        self.lowest, self.highest = float(output_range[0]), float(output_range[1])
        if not self.lowest <= 0.0 < 1.0 <= self.highest:
            raise ValueError(f"output_range must contain [0, 1], got {tuple(output_range)}.")
        self.skip = skip
        branch = (edge_enhancement, region_mask, mask_before_edge, temperature, mask_upsampling, inference_form)
        self.mri = _Branch(*branch)
        self.other = _Branch(*branch)
        self.refinement = GlobalRefinement(64, 32) if global_refinement else None
        self.decoder = nn.Sequential(
            nn.Conv2d(96 if skip else 64, 32, 3, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(32, 1, 3, padding=1),
        )

    def forward(self, image: torch.Tensor, return_masks: bool = False) -> torch.Tensor:
        """Fuse pictures of any size, B x 2 x H x W in [0, 1]: MRI, then CT or the luminance of PET or SPECT -> B x 1 x
        H x W.

        With ``return_masks`` two channels follow: the principal masks of the two branches (hard outside training).
        """
        height, width = image.shape[2], image.shape[3]
        padded = F.pad(image, [0, width % 2, 0, height % 2], mode="replicate")
        edge_mri, masked_mri, principal_mri = self.mri(padded[:, 0:1])
        edge_other, masked_other, principal_other = self.other(padded[:, 1:2])
        output = self.decode(edge_mri, masked_mri, edge_other, masked_other)
        if self.black_background:
            output = output * (padded.amax(dim=1, keepdim=True) > 0).to(output.dtype)
        if return_masks:
            output = torch.cat([output, principal_mri, principal_other], dim=1)
        return output[:, :, :height, :width]

    def decode(
        self, edge_mri: torch.Tensor, masked_mri: torch.Tensor, edge_other: torch.Tensor, masked_other: torch.Tensor
    ) -> torch.Tensor:
        """Edge-enhanced and mask-optimised features of both branches (B x 32 x H x W) -> B x 1 x H x W fused."""
        joined = [masked_other, masked_mri]
        if self.refinement is not None:
            joined = [self.refinement(joined, edge_mri)]
        if self.skip:
            joined.append(edge_other)
        decoded = convolve_concatenation(joined, self.decoder[0].weight, self.decoder[0].bias)
        decoded = self.decoder[1](decoded)
        if self.training and not torch.jit.is_scripting():
            # bfloat16 has 8 bits: the loss would see the fused image in steps of one to two grey levels.
            with torch.autocast(decoded.device.type, enabled=False):
                return self._activate(self.decoder[2](decoded.float()))
        return self._activate(self.decoder[2](decoded))

    def _activate(self, x: torch.Tensor) -> torch.Tensor:
        stretched = self.lowest + (self.highest - self.lowest) * (torch.tanh(x) / 2 + 0.5)
        clamped = stretched.clamp(0.0, 1.0)
        if self.training:
            return clamped + 0.01 * (stretched - clamped)
        return clamped
