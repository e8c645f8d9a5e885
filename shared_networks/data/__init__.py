"""Data lists, data sets and loaders."""

from shared_networks.data.case_log import CaseLog
from shared_networks.data.done_cases import DoneCases
from shared_networks.data.fusion_dataset import FusionDataset, PairLoader
from shared_networks.data.gesenet_cases import FusionPairs, resolve_pairs
from shared_networks.data.gesenet_split import modality_weights, split_pairs, training_pairs
from shared_networks.data.random_versions import RandomVersions
from shared_networks.data.rmr_cases import ModalityCases, resolve_cases
from shared_networks.data.rmr_split import evaluation_cases, training_cases
