"""Data lists, data sets and loaders."""

from shared_networks.data.case_log import CaseLog
from shared_networks.data.done_cases import DoneCases
from shared_networks.data.evaluation_cases import evaluation_cases
from shared_networks.data.fusion_dataset import FusionDataset
from shared_networks.data.fusion_pairs import FusionPairs, resolve_pairs
from shared_networks.data.modality_cases import ModalityCases, resolve_cases
from shared_networks.data.modality_split import training_cases
from shared_networks.data.pair_loader import PairLoader
from shared_networks.data.pair_split import split_pairs, training_pairs
from shared_networks.data.random_versions import RandomVersions
from shared_networks.data.sampling import modality_weights

__all__ = [
    "CaseLog",
    "DoneCases",
    "FusionDataset",
    "FusionPairs",
    "ModalityCases",
    "PairLoader",
    "RandomVersions",
    "evaluation_cases",
    "modality_weights",
    "resolve_cases",
    "resolve_pairs",
    "split_pairs",
    "training_cases",
    "training_pairs",
]
