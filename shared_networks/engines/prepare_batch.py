"""How a batch becomes the arguments of network and loss, for each of the trainings."""

from typing import Any

import torch
from monai.engines import PrepareBatch
from monai.utils import convert_to_tensor

from shared_networks.errors import InputError


def _plain(tensor: torch.Tensor, device: str | torch.device | None = None, non_blocking: bool = False) -> torch.Tensor:
    """Put a tensor on the device, without meta data, whose bookkeeping costs time in every operation."""
    return convert_to_tensor(tensor).to(device=device, non_blocking=non_blocking)


def _network_input(batchdata: dict[str, torch.Tensor], key: str) -> torch.Tensor:
    """What a batch holds under the key that a user set.

    Raises:
        InputError: when it holds no image of that name.
    """
    if not isinstance(batchdata.get(key), torch.Tensor):
        known = " or ".join(name for name, value in batchdata.items() if isinstance(value, torch.Tensor))
        raise InputError(f"input_key is {key!r}; expected one of what a batch holds: {known}.")
    return batchdata[key]


class PrepareFusionBatch(PrepareBatch):
    """Self-supervised fusion: the loss compares the fused image with the source images.

    The network sees ``input_key``: the sources, or a disturbed copy of them. ``return_masks`` asks it for its principal
    masks as further channels, for the sparsity term of the loss.
    """

    def __init__(self, return_masks: bool = False, input_key: str = "image") -> None:
        self.return_masks = return_masks
        self.input_key = input_key

    def __call__(
        self,
        batchdata: dict[str, torch.Tensor],
        device: str | torch.device | None = None,
        non_blocking: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, tuple, dict[str, bool]]:
        """Return (network input B x 2 x spatial, target B x 2 x spatial, (), network keyword arguments)."""
        target = _plain(batchdata["image"], device, non_blocking)
        seen = target
        if self.input_key != "image":
            seen = _plain(_network_input(batchdata, self.input_key), device, non_blocking)
        keywords = {"return_masks": True} if self.return_masks else {}
        return seen, target, (), keywords


class PrepareRefinementBatch(PrepareBatch):
    """Stage 1: clean images, B x 2 x spatial, and their negatives go through the autoencoder together (Eq. 1 and 2).

    ``degraded_key`` holds K negatives of each, B x 2K x spatial: both modalities of the first, of the second ... The
    loss is :class:`shared_networks.losses.TwoLevelRefinementLoss`.
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
        clean = _plain(batchdata[self.image_key], device, non_blocking)
        degraded = _plain(batchdata[self.degraded_key], device, non_blocking)
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
        inputs = _plain(_network_input(batchdata, self.input_key), device, non_blocking)
        target = {"image": _plain(batchdata[self.image_key], device, non_blocking)}
        if self.label_key:
            target["label"] = _plain(batchdata[self.label_key], device, non_blocking)
            if self.marked_key in batchdata:
                target["marked"] = _plain(batchdata[self.marked_key], device, non_blocking)
        if not self.features_key:
            return inputs, target, (), {}
        features = _plain(batchdata[self.features_key], device, non_blocking)
        return torch.cat([inputs, features.to(inputs.dtype)], dim=1), target, (), {"encoded": True}
