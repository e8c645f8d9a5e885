"""How a batch becomes the arguments of RMR-Fusion's networks and losses."""

from typing import Any

import torch
from monai.engines import PrepareBatch

from shared_networks.engines.prepare_batch import plain_tensor

__all__ = ["PrepareMutualReinforcingBatch", "PrepareRefinementBatch"]


class PrepareRefinementBatch(PrepareBatch):
    """Stage 1: clean images and their negatives go through the autoencoder in one batch (Eq. 1 and 2).

    The loss is :class:`shared_networks.losses.TwoLevelRefinementLoss`.

    Args:
        image_key: clean images, B x 2 x spatial.
        degraded_key: K negatives of each, B x 2K x spatial: both modalities of the first negative, of the second ...
    """

    def __init__(self, image_key: str = "image", degraded_key: str = "degraded") -> None:
        self.image_key = image_key
        self.degraded_key = degraded_key

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict[str, bool]]:
        """Return (clean and degraded ((1 + K) * B) x 2 x spatial, clean B x 2 x spatial, (), network keywords)."""
        clean = plain_tensor(batchdata[self.image_key], device, non_blocking)
        degraded = plain_tensor(batchdata[self.degraded_key], device, non_blocking)
        negatives = degraded.split(clean.shape[1], dim=1)
        return torch.cat([clean, *negatives]), clean, (), {"return_features": True}


class PrepareMutualReinforcingBatch(PrepareBatch):
    """Stage 2: the loss compares the fused volume with the images and the segmentation with the label.

    The loss is :class:`shared_networks.losses.MutualReinforcingLoss`.

    Args:
        input_key: what the network sees; ``"degraded"`` trains stage 2 on degraded input against clean targets.
        image_key: clean images, B x 2 x spatial.
        label_key: class indices, B x 1 x spatial; '' for none (training without the segmentation loss).
        marked_key: whether the auxiliary class is marked in the label, (B,); passed on where it is there.
        features_key: what the frozen encoders made of the input, B x 32 x spatial
            (:class:`shared_networks.data.RandomVersions`); '' where the network is to encode the input itself.
    """

    def __init__(
        self,
        input_key: str = "image",
        image_key: str = "image",
        label_key: str = "label",
        marked_key: str = "marked",
        features_key: str = "",
    ) -> None:
        self.input_key = input_key
        self.image_key = image_key
        self.label_key = label_key
        self.marked_key = marked_key
        self.features_key = features_key

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor], tuple, dict[str, bool]]:
        """Return (input B x 2 x spatial, {"image": B x 2 x spatial, "label": B x 1 x spatial}, (), {}).

        With features the input is B x 34 x spatial and the network's keywords are ``{"encoded": True}``.
        """
        inputs = plain_tensor(batchdata[self.input_key], device, non_blocking)
        target = {"image": plain_tensor(batchdata[self.image_key], device, non_blocking)}
        if self.label_key:
            target["label"] = plain_tensor(batchdata[self.label_key], device, non_blocking)
            if self.marked_key in batchdata:
                target["marked"] = plain_tensor(batchdata[self.marked_key], device, non_blocking)
        if not self.features_key:
            return inputs, target, (), {}
        features = plain_tensor(batchdata[self.features_key], device, non_blocking)
        return torch.cat([inputs, features.to(inputs.dtype)], dim=1), target, (), {"encoded": True}
