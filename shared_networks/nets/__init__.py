"""Whole networks, as the configs name them."""

from shared_networks.nets.bilateral_segmenter import BilateralAttentionSegmenter
from shared_networks.nets.degradation_autoencoder import DegradationAutoencoder
from shared_networks.nets.dual_tree_fusion import DualTreeFusion
from shared_networks.nets.gesenet import GeSeNet
from shared_networks.nets.guided_filter_fusion import GuidedFilterFusion
from shared_networks.nets.hyper_dense_net import HyperDenseNet
from shared_networks.nets.loss_minimiser import FusionLossMinimiser
from shared_networks.nets.rmr_fusion import RMRFusionNet
from shared_networks.nets.semantic_head_only import SemanticHeadOnly
from shared_networks.nets.simple_fusion import (
    AverageFusion,
    LaplacianPyramidFusion,
    MaximumFusion,
    SliceWiseFusion,
    SourceAlone,
)
from shared_networks.nets.ux_net import UXNet3D
