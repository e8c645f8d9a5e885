"""The degradation-robust autoencoder of RMR-Fusion, stage 1 (Zhang et al., AAAI 2024, Eq. 1-5, Fig. 4)."""

from pathlib import Path

import torch
from torch import nn

from shared_networks.blocks.feature_decoder import FeatureDecoder
from shared_networks.blocks.swin_encoder import SwinEncoder
from shared_networks.utils.weights import load_weights


class DegradationAutoencoder(nn.Module):
    """Two encoders of the same form with weights of their own, and one decoder for both modalities.

    Each modality is encoded by its own encoder (Eq. 1) and decoded by the shared decoder (Eq. 2). With the default
    settings it has 2 * 359,084 + 8,713 parameters.

    For training, clean and degraded volumes go through the network together, one after the other in the batch, with
    ``return_features=True``: images and features of both come back from one call, which keeps distributed training
    (where only ``forward`` may be called) as simple as the rest.

    Args:
        feature_channels: channels of the features of one modality.
        windows_per_group: windows in one call of the attention, see
            :class:`shared_networks.blocks.grouped_window_attention.GroupedWindowAttention`.

    Example:
        >>> DegradationAutoencoder()(torch.rand(1, 2, 33, 20, 1)).shape
        torch.Size([1, 2, 33, 20, 1])
    """

    def __init__(self, feature_channels: int = 16, windows_per_group: int | None = None) -> None:
        super().__init__()
        self.feature_channels = feature_channels
        self.encoder_x = SwinEncoder(1, feature_channels, windows_per_group=windows_per_group)
        self.encoder_y = SwinEncoder(1, feature_channels, windows_per_group=windows_per_group)
        self.decoder = FeatureDecoder(feature_channels)

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Eq. 1: features of both modalities, B x 2C x X x Y x Z: those of X (T1), then those of Y (T2-FLAIR).

        The image is B x 2 x X x Y x Z in [0, 1], of any size; C = ``feature_channels``.
        """
        return torch.cat([self.encoder_x(image[:, 0:1]), self.encoder_y(image[:, 1:2])], dim=1)

    def decode(self, features: torch.Tensor) -> torch.Tensor:
        """Eq. 2 and 6: features of one modality or fused ones, B x C x spatial -> image B x 1 x spatial."""
        return self.decoder(features)

    def forward(self, image: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        """Encode and reconstruct both modalities, B x 2 x X x Y x Z in [0, 1] -> the same shape, not clamped.

        With ``return_features`` B x (2 + 2C) x X x Y x Z: reconstructions, features of X, features of Y, for Eq. 4.
        """
        features = self.encode(image)
        halves = features.split(self.feature_channels, dim=1)
        images = [self.decode(half) for half in halves]
        return torch.cat([*images, features] if return_features else images, dim=1)

    def load(self, path: str | Path, command: str = "") -> "DegradationAutoencoder":
        """Take the weights of a stage 1 checkpoint, all of them and no others; returns this network.

        The file has a state dict, or one under the key ``model`` as training writes it; ``command``, what makes it, is
        part of the error message. Raises InputError when the file is missing, cannot be read or holds other weights;
        the network is unchanged.
        """
        remedy = "train stage 1 first" + (f": {command}" if command else " (train_autoencoder.json)")
        refusal = f"not a checkpoint of this autoencoder ({{fault}}); {remedy}"
        load_weights(self, path, refusal, f"If there is none, {remedy}")
        return self
