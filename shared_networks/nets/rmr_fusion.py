"""RMR-Fusion, stage 2: one fused volume and one segmentation (Zhang et al., AAAI 2024, Eq. 6-9, Fig. 5)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shared_networks.blocks.any_size_head import AnySizeHead
from shared_networks.blocks.dense_fusion import DenseFusion
from shared_networks.blocks.detail_gate import DetailGate
from shared_networks.nets.degradation_autoencoder import DegradationAutoencoder
from shared_networks.utils.memory import return_freed_memory


class RMRFusionNet(nn.Module):
    """Robust mutual-reinforcing fusion: frozen encoders, fusion module, frozen decoder and semantic head.

    The features of both modalities are fused once (FN); the frozen decoder of stage 1 makes the fused volume F of them
    and the semantic head the segmentation S (Eq. 6). Encoders and decoder are frozen: they need no gradient, stay in
    evaluation mode, and :meth:`trainable_parameters` leaves them out. Gradients do flow through the decoder to FN.

    With ``SwinUNETR(in_channels=16, out_channels=5, feature_size=48)`` as head it has 63,085,000 parameters (paper:
    63.09 M).

    Args:
        semantic_head: any network that maps B x 16 x spatial (18 with ``images_to_head``) to logits B x J x spatial.
        autoencoder: the network of stage 1; a new one when not given. It is frozen here.
        head_divisor: what each axis must be a multiple of for the head, see
            :class:`shared_networks.blocks.any_size_head.AnySizeHead`.
        head_size: the only size that the head takes, if there is one (UNETR).
        windows_per_group: windows in one call of the head's attention, where it has Swin stages.
        tune_encoders: train the encoders too, which the paper does not; the decoder stays frozen.
        images_to_head: the head sees both images beside the fused features, which the paper's does not. Frozen
            encoders know the scanners that they were trained on; the images keep what they leave out.
        images_to_volume: the fused volume takes fine detail from a weighted sum of the images where they are clean
            (:class:`shared_networks.blocks.detail_gate.DetailGate`), which the paper's does not: the weights of T1 and
            FLAIR when training begins. None for none. Needs ``images_to_head``.
        auxiliary_of: class that the head's last one is a part of, see
            :class:`shared_networks.blocks.any_size_head.AnySizeHead`.

    Raises:
        ValueError: for ``images_to_volume`` without ``images_to_head``.

    Example:
        >>> head = monai.networks.nets.SwinUNETR(in_channels=16, out_channels=5, feature_size=12)
        >>> RMRFusionNet(head)(torch.rand(1, 2, 33, 20, 1)).shape
        torch.Size([1, 6, 33, 20, 1])
    """

    def __init__(
        self,
        semantic_head: nn.Module,
        autoencoder: DegradationAutoencoder | None = None,
        head_divisor: int | Sequence[int] = 32,
        head_size: Sequence[int] | None = None,
        windows_per_group: int | None = None,
        tune_encoders: bool = False,
        images_to_head: bool = False,
        images_to_volume: Sequence[float] | None = None,
        auxiliary_of: int | None = None,
    ) -> None:
        super().__init__()
        if images_to_volume and not images_to_head:
            raise ValueError("images_to_volume needs images_to_head: both see the images beside the fused features.")
        self.autoencoder = DegradationAutoencoder() if autoencoder is None else autoencoder
        channels = self.autoencoder.feature_channels
        self.fusion = DenseFusion(2 * channels, channels)
        self.semantic_head = AnySizeHead(semantic_head, head_divisor, head_size, windows_per_group, auxiliary_of)
        self.images_to_head = images_to_head
        self.detail = DetailGate(channels, images_to_volume) if images_to_volume else None
        self.autoencoder.requires_grad_(False).eval()
        self.tune_encoders = tune_encoders
        for encoder in (self.autoencoder.encoder_x, self.autoencoder.encoder_y):
            encoder.requires_grad_(tune_encoders)

    def train(self, mode: bool = True) -> "RMRFusionNet":
        """Set the mode of the trained parts; the frozen ones stay in evaluation mode."""
        super().train(mode)
        self.autoencoder.eval()
        return self

    def trainable_parameters(self) -> list[nn.Parameter]:
        """Parameters for the optimiser: of all but the decoder, and the encoders unless they are tuned."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def parameter_groups(self, encoder_learning_rate: float) -> list[dict[str, Any]]:
        """:meth:`trainable_parameters` in two groups for the optimiser, that of the encoders with its own rate."""
        encoders = [parameter for parameter in self.autoencoder.parameters() if parameter.requires_grad]
        others = [p for name, p in self.named_parameters() if not name.startswith("autoencoder.")]
        return [{"params": others}, {"params": encoders, "lr": encoder_learning_rate}]

    def load_autoencoder(self, path: str | Path, command: str = "") -> "RMRFusionNet":
        """Take encoders and decoder of a stage 1 checkpoint; see :meth:`DegradationAutoencoder.load`."""
        self.autoencoder.load(path, command)
        return self

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Eq. 1: B x 2 x spatial -> B x 32 x spatial, without gradient unless the encoders are tuned.

        With frozen encoders the result depends on the image only, so it may be kept between epochs and given to
        :meth:`forward` with the image.
        """
        with torch.set_grad_enabled(self.tune_encoders and torch.is_grad_enabled()):
            return self.autoencoder.encode(image)

    def encode_fuse(self, image: torch.Tensor) -> torch.Tensor:
        """What the head sees: B x 2 x spatial -> B x 16 x spatial, the fused features FN(EN_X(X), EN_Y(Y)).

        With ``images_to_head`` both images come after them, B x 18 x spatial.
        """
        encoded = self.encode(image)
        # The encoders' tensors leave gaps of other sizes than the fusion module asks for.
        return_freed_memory()
        return self._beside(self.fusion(encoded), image)

    def decode(self, fused_features: torch.Tensor) -> torch.Tensor:
        """Eq. 6, F = DE(features): what :meth:`encode_fuse` gives -> B x 1 x spatial, about [0, 1], not clamped.

        With ``images_to_volume`` detail of the images is added.
        """
        features = fused_features[:, : self.autoencoder.feature_channels]
        decoded = self.autoencoder.decode(features)
        if self.detail is None:
            return decoded
        return self.detail(decoded, features, fused_features[:, self.autoencoder.feature_channels :])

    def _beside(self, fused: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([fused, image.to(fused.dtype)], dim=1) if self.images_to_head else fused

    def forward(self, image: torch.Tensor, encoded: bool = False) -> torch.Tensor:
        """Fuse and segment volumes of any size.

        Args:
            image: B x 2 x X x Y x Z in [0, 1]; channel 0 = X (T1), channel 1 = Y (T2-FLAIR); every axis at least 1.
            encoded: ``image`` is B x 34 x X x Y x Z, the images and after them what :meth:`encode` made of them; only
                the parts that are trained are computed.

        Returns:
            B x (J + 1) x X x Y x Z: the logits S of J classes, then the fused volume F (not clamped).
        """
        features = image[:, 2:] if encoded else self.encode(image)
        fused = self._beside(self.fusion(features), image[:, :2])
        return torch.cat([self.semantic_head(fused), self.decode(fused)], dim=1)
