"""Ignite handlers."""

from shared_networks.handlers.batch_report import BatchReport
from shared_networks.handlers.best_checkpoint import BestCheckpoint
from shared_networks.handlers.case_progress import CaseProgress
from shared_networks.handlers.checkpoint_states import ScheduleState, TrainerState
from shared_networks.handlers.checkpoints import TrainingCheckpoints
from shared_networks.handlers.epoch_start import EpochReseed, RenewVersions
from shared_networks.handlers.finite_training import FiniteTraining
from shared_networks.handlers.fusion_evaluation import FusionEvaluationReport
from shared_networks.handlers.gradient_clip import GradientClip
from shared_networks.handlers.image_quality import ImageQuality
from shared_networks.handlers.loss_parts import LossParts
from shared_networks.handlers.resume import newest_checkpoint
from shared_networks.handlers.segmentation_evaluation import SegmentationEvaluationReport
from shared_networks.handlers.training_origin import TrainingOrigin
from shared_networks.handlers.weight_average import WeightAverage
from shared_networks.handlers.weights_loader import WeightsLoader

__all__ = [
    "BatchReport",
    "BestCheckpoint",
    "CaseProgress",
    "EpochReseed",
    "FiniteTraining",
    "FusionEvaluationReport",
    "GradientClip",
    "ImageQuality",
    "LossParts",
    "RenewVersions",
    "ScheduleState",
    "SegmentationEvaluationReport",
    "TrainerState",
    "TrainingCheckpoints",
    "TrainingOrigin",
    "WeightAverage",
    "WeightsLoader",
    "newest_checkpoint",
]
