"""Fusion quality metrics as a training loss."""

from collections.abc import Callable, Mapping

import torch
from torch import nn

from shared_networks.losses.precision import in_single_precision
from shared_networks.metrics import (
    compute_correlation_of_differences,
    compute_edge_preservation,
    compute_mean_source_ssim,
    compute_multi_exposure_ssim,
    compute_soft_mutual_information,
    compute_visual_information_fidelity,
)

_Images = torch.Tensor


def _visual_information_8_bit(fused: _Images, source_a: _Images, source_b: _Images) -> torch.Tensor:
    return compute_visual_information_fidelity(fused, source_a, source_b, definition="paper")


def _deviation(fused: _Images, source_a: _Images, source_b: _Images) -> torch.Tensor:
    return fused.std(dim=(1, 2, 3)) / 255.0


def _bright_share(fused: _Images, source_a: _Images, source_b: _Images) -> torch.Tensor:
    """Smooth share of pixels that reach the ceiling of the 8-bit SD: 16 grey levels above the mean."""
    excess = fused - fused.mean(dim=(1, 2, 3), keepdim=True) - 16.0
    return torch.sigmoid(excess / 4.0).mean(dim=(1, 2, 3))


_TERMS: dict[str, Callable[[_Images, _Images, _Images], torch.Tensor]] = {
    "multi_exposure_ssim": compute_multi_exposure_ssim,
    "mean_source_ssim": compute_mean_source_ssim,
    "correlation_of_differences": compute_correlation_of_differences,
    "visual_information": compute_visual_information_fidelity,
    "visual_information_8_bit": _visual_information_8_bit,
    "mutual_information": compute_soft_mutual_information,
    "edge_preservation": compute_edge_preservation,
    "deviation": _deviation,
    "bright_share": _bright_share,
}


class FusionQualityLoss(nn.Module):
    """Minus the weighted sum of differentiable fusion metrics; not in the paper.

    Eq. 10-13 pull the fused image to the maximum of the sources, which the plain maximum reaches without a network.
    These terms reward what the published tables measure: the structure of both sources, what each has beyond the
    other, visual and mutual information, edges, contrast. Patches in which the sources show nothing are left out,
    since a constant patch has no structure to keep.

    Args:
        terms: weight by name; names are ``multi_exposure_ssim``, ``mean_source_ssim``, ``correlation_of_differences``,
            ``visual_information`` and ``visual_information_8_bit`` (VIF, standard and as in the paper's tables),
            ``mutual_information`` (smooth histogram), ``edge_preservation`` (Qabf), ``deviation`` (standard deviation
            in units of the full range) and ``bright_share`` (what the 8-bit SD of the tables counts).
        ceilings: value by name beyond which a term is not rewarded further, e.g. SCD, whose maximum is a fused image
            brighter than both sources.
        minimal_content: a patch counts when this share of its pixels exceeds 2 % of the range in either source.
        histogram_stride: histograms (``mutual_information``) count every n-th pixel of every n-th row; at 1
            they take a fifth of a training step on a CPU.

    Raises:
        ValueError: when a term is unknown.
    """

    def __init__(
        self,
        terms: Mapping[str, float],
        ceilings: Mapping[str, float] | None = None,
        minimal_content: float = 0.1,
        histogram_stride: int = 1,
    ) -> None:
        super().__init__()
        self.ceilings = dict(ceilings or {})
        unknown = sorted((set(terms) | set(self.ceilings)) - set(_TERMS))
        if unknown:
            raise ValueError(f"unknown terms {unknown}; there are {sorted(_TERMS)}.")
        self.terms = {name: float(weight) for name, weight in terms.items() if weight}
        self.minimal_content = minimal_content
        self.histogram_stride = histogram_stride

    @in_single_precision
    def forward(self, fused: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """fused: B x 1 x H x W, sources: B x 2 x H x W, both in [0, 1], H and W at least 41 for VIF -> scalar."""
        if not self.terms:
            return fused.sum() * 0.0
        shown = (sources > 0.02).any(dim=1).to(fused.dtype).mean(dim=(1, 2)) >= self.minimal_content
        # Weights, and something to measure in place of what is not shown: to pick patches out, the host would have to
        # wait for the device. Ramps have every term's gradient.
        height, width = fused.shape[-2:]
        ramp = torch.linspace(0.1, 0.9, height * width, dtype=fused.dtype, device=fused.device).view(height, width)
        shown_map = shown.view(-1, 1, 1, 1)
        fused = torch.where(shown_map, fused, ramp).clamp(0.0, 1.0) * 255.0
        sources = torch.where(shown_map, sources, ramp) * 255.0
        weights = shown / shown.sum().clamp(min=1)
        scores = []
        for name, weight in self.terms.items():
            step = self.histogram_stride if name == "mutual_information" else 1
            seen, shown_sources = fused[..., ::step, ::step], sources[..., ::step, ::step]
            values = _TERMS[name](seen, shown_sources[:, 0:1], shown_sources[:, 1:2])
            scores.append(weight * (weights * values.clamp(max=self.ceilings.get(name, float("inf")))).sum())
        return -torch.stack(scores).sum()
