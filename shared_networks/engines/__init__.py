"""What MONAI's engines are given."""

from shared_networks.engines.case_evaluator import CaseEvaluator
from shared_networks.engines.prepare_batch import (
    PrepareFusionBatch,
    PrepareMutualReinforcingBatch,
    PrepareRefinementBatch,
)
