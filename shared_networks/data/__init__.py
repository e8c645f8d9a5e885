"""Data lists, data sets and loaders."""

from shared_networks.data.case_log import CaseLog
from shared_networks.data.fusion_dataset import FusionDataset
from shared_networks.data.fusion_pairs import FusionPairs, resolve_pairs
from shared_networks.data.pair_loader import PairLoader
from shared_networks.data.pair_split import split_pairs, training_pairs
from shared_networks.data.sampling import modality_weights

__all__ = [
    "CaseLog",
    "FusionDataset",
    "FusionPairs",
    "PairLoader",
    "modality_weights",
    "resolve_pairs",
    "split_pairs",
    "training_pairs",
]
