"""Metrics of fusion quality and of segmentation: a pure ``compute_*`` function and a MONAI metric class for each."""

from shared_networks.metrics.average_gradient import AverageGradientMetric, compute_average_gradient
from shared_networks.metrics.base import FusionMetric
from shared_networks.metrics.case_metric import CaseMetric
from shared_networks.metrics.class_dice import ClassDiceMetric, compute_class_dice
from shared_networks.metrics.correlation_of_differences import (
    CorrelationOfDifferencesMetric,
    compute_correlation_of_differences,
)
from shared_networks.metrics.edge_preservation import EdgePreservationMetric, compute_edge_preservation
from shared_networks.metrics.entropy import EntropyMetric, compute_entropy
from shared_networks.metrics.feature_mutual_information import (
    FeatureMutualInformationMetric,
    compute_feature_mutual_information,
)
from shared_networks.metrics.lesions import (
    LesionF1Metric,
    LesionHausdorffMetric,
    compute_lesion_detection,
    compute_lesion_hausdorff,
    lesion_components,
)
from shared_networks.metrics.mutual_information import MutualInformationMetric, compute_mutual_information
from shared_networks.metrics.relative_score import RelativeFusionScore
from shared_networks.metrics.soft_mutual_information import compute_soft_mutual_information
from shared_networks.metrics.standard_deviation import StandardDeviationMetric, compute_standard_deviation
from shared_networks.metrics.structural_similarity import (
    MeanSourceSSIMMetric,
    MultiExposureSSIMMetric,
    compute_mean_source_ssim,
    compute_multi_exposure_ssim,
    compute_ssim,
)
from shared_networks.metrics.visual_information_fidelity import (
    VisualInformationFidelityMetric,
    compute_visual_information_fidelity,
)
from shared_networks.metrics.volume_report import compute_volume_report
