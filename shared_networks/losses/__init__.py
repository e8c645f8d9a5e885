"""Training losses of both papers, and what was added to them."""

from shared_networks.losses.fusion_quality import FusionQualityLoss
from shared_networks.losses.gesenet import EdgeLoss, GeSeNetLoss, MaskSparsityLoss, StructuralSimilarityFusionLoss
from shared_networks.losses.mutual_reinforcing import MutualReinforcingLoss, VisualFusionLoss
from shared_networks.losses.refinement import RefinementDistance, TwoLevelRefinementLoss
from shared_networks.losses.semantic import SemanticLoss, SemanticPretrainingLoss
from shared_networks.losses.volume_similarity import VolumeSimilarityLoss
