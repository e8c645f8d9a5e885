"""Training losses of GeSeNet (Li et al. 2023, Section III-E, Eq. 9-17)."""

import torch
from torch import nn

from shared_networks.blocks.gradients import sobel_gradient_magnitude
from shared_networks.losses.precision import in_single_precision
from shared_networks.metrics import compute_ssim


class EdgeLoss(nn.Module):
    """Edge loss (Eq. 10-12): ``L_c + gamma * L_g``, content and gradient towards the maximum of the sources.

    Args:
        gamma: weight of the gradient term (10 in the paper).
    """

    def __init__(self, gamma: float = 10.0) -> None:
        super().__init__()
        self.gamma = gamma

    @in_single_precision
    def forward(self, fused: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """fused: B x 1 x H x W, sources: B x 2 x H x W, both in [0, 1] -> scalar."""
        content = (fused - sources.amax(dim=1, keepdim=True)).abs().mean()
        strongest = sobel_gradient_magnitude(sources).amax(dim=1, keepdim=True)
        gradient = (sobel_gradient_magnitude(fused) - strongest).abs().mean()
        return content + self.gamma * gradient


class StructuralSimilarityFusionLoss(nn.Module):
    """SSIM loss (Eq. 13 and 14): ``(1 - SSIM(F, A)) + (1 - SSIM(F, B))``, Gaussian window 11, data range 1."""

    @in_single_precision
    def forward(self, fused: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """fused: B x 1 x H x W, sources: B x 2 x H x W, both in [0, 1], H and W >= 11 -> scalar."""
        similarity = compute_ssim(fused, sources[:, 0:1], 1.0) + compute_ssim(fused, sources[:, 1:2], 1.0)
        return (2.0 - similarity).mean()


class MaskSparsityLoss(nn.Module):
    """L1 of the principal masks towards a target, after Wang et al. (CVPR 2021), the paper's reference [43].

    The paper's own loss does not limit the masks, and the released ones ignore the picture. Here each branch's mask is
    drawn to 0 where its source shows nothing within ``margin`` pixels, and its mean over the rest to
    ``target_share``, which leaves it free where in the anatomy to spend it.

    Args:
        target_share: wanted principal share of the anatomy, in [0, 1].
        threshold: source values above it are content (0.02 = 5 grey levels).
        margin: how far content reaches, in pixels.
    """

    def __init__(self, target_share: float = 0.7, threshold: float = 0.02, margin: int = 4) -> None:
        super().__init__()
        if not 0.0 <= target_share <= 1.0:
            raise ValueError(f"target_share must be in [0, 1], got {target_share}.")
        self.target_share = target_share
        self.threshold = threshold
        self.reach = nn.MaxPool2d(2 * margin + 1, stride=1, padding=margin)

    @in_single_precision
    def forward(self, masks: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """masks: B x 2 x H x W in [0, 1], sources: B x 2 x H x W in [0, 1] -> scalar."""
        content = self.reach((sources > self.threshold).to(masks.dtype))
        outside = (masks * (1.0 - content)).mean()
        area = content.sum(dim=(2, 3))
        share = (masks * content).sum(dim=(2, 3)) / area.clamp_min(1.0)
        inside = ((share - self.target_share).abs() * (area > 0)).mean()
        return outside + inside


class GeSeNetLoss(nn.Module):
    """Total loss (Eq. 9): ``L_E + alpha L_SSIM + beta L_S``, plus the terms that the paper does not have.

    Computed in single precision also under autocast. The values of the last call, by name, are in :attr:`parts` for
    logging: detached tensors on the device, since reading a number would make the host wait for the device.

    Args:
        edge: weight of L_E (1; 0 is the ablation "without L_E" of Table IV).
        alpha: weight of L_SSIM (0.5 in the paper).
        beta: weight of L_S (0.3 in the paper).
        gamma: weight of the gradient term within L_E (10 in the paper).
        semantic: module called as ``semantic(fused, sources)``; None leaves L_S out.
        quality: module called as ``quality(fused, sources)``, e.g.
            :class:`shared_networks.losses.FusionQualityLoss`; None leaves it out (paper).
        quality_weight: weight of ``quality``.
        sparsity: module called as ``sparsity(masks, sources)``; None leaves it out (paper).
        sparsity_weight: weight of ``sparsity``; a ``ParamSchedulerHandler`` of train.json lets it grow.
    """

    def __init__(
        self,
        edge: float = 1.0,
        alpha: float = 0.5,
        beta: float = 0.3,
        gamma: float = 10.0,
        semantic: nn.Module | None = None,
        quality: nn.Module | None = None,
        quality_weight: float = 1.0,
        sparsity: nn.Module | None = None,
        sparsity_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.edge, self.alpha, self.beta = edge, alpha, beta
        self.edge_loss = EdgeLoss(gamma)
        self.structure_loss = StructuralSimilarityFusionLoss()
        self.semantic = semantic
        self.quality, self.quality_weight = quality, quality_weight
        self.sparsity, self.sparsity_weight = sparsity, sparsity_weight
        self.parts: dict[str, torch.Tensor] = {}

    @in_single_precision
    def forward(self, prediction: torch.Tensor, sources: torch.Tensor) -> torch.Tensor:
        """Combine the terms for B x 1 x H x W, or B x 3 x H x W with the masks of both branches behind -> scalar.

        Sources are B x 2 x H x W in [0, 1]. Raises ValueError when a sparsity term is wanted but there are no masks.
        """
        fused = prediction[:, 0:1]
        terms: dict[str, tuple[float, torch.Tensor]] = {}
        if self.edge:
            terms["L_E"] = (self.edge, self.edge_loss(fused, sources))
        if self.alpha:
            terms["L_SSIM"] = (self.alpha, self.structure_loss(fused, sources))
        if self.beta and self.semantic is not None:
            terms["L_S"] = (self.beta, self.semantic(fused, sources))
        if self.quality_weight and self.quality is not None:
            terms["L_quality"] = (self.quality_weight, self.quality(fused, sources))
        if self.sparsity_weight and self.sparsity is not None:
            if prediction.shape[1] != 3:
                raise ValueError(f"the sparsity term needs masks: 3 channels, got {prediction.shape[1]}.")
            terms["L_mask"] = (self.sparsity_weight, self.sparsity(prediction[:, 1:3], sources))
        total = torch.stack([weight * value for weight, value in terms.values()]).sum()
        self.parts = {name: value.detach() for name, (_, value) in terms.items()} | {"L_total": total.detach()}
        return total
