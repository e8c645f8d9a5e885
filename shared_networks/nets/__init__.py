"""Whole networks, as the configs name them."""

from shared_networks.nets.bilateral_segmenter import BilateralAttentionSegmenter
from shared_networks.nets.gesenet import GeSeNet
from shared_networks.nets.simple_fusion import AverageFusion, LaplacianPyramidFusion, MaximumFusion

__all__ = ["AverageFusion", "BilateralAttentionSegmenter", "GeSeNet", "LaplacianPyramidFusion", "MaximumFusion"]
