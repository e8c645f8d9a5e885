"""Training losses of both papers, and what was added to them."""

from shared_networks.losses.fusion_quality import FusionQualityLoss
from shared_networks.losses.gesenet import EdgeLoss, GeSeNetLoss, MaskSparsityLoss, StructuralSimilarityFusionLoss
from shared_networks.losses.semantic import SemanticLoss, SemanticPretrainingLoss

__all__ = [
    "EdgeLoss",
    "FusionQualityLoss",
    "GeSeNetLoss",
    "MaskSparsityLoss",
    "SemanticLoss",
    "SemanticPretrainingLoss",
    "StructuralSimilarityFusionLoss",
]
