"""What MONAI's engines are given."""

from shared_networks.engines.prepare_batch import PrepareFusionBatch

__all__ = ["PrepareFusionBatch"]
