"""Two-level refinement loss of the degradation-robust autoencoder (Zhang et al., AAAI 2024, Eq. 3-5)."""

import torch
from torch import nn

from shared_networks.losses.precision import in_single_precision
from shared_networks.losses.volume_similarity import VolumeSimilarityLoss


def residual_variation(residual: torch.Tensor) -> torch.Tensor:
    """Total variation as RMR-Fusion uses it: mean squared forward difference of B x C x spatial, summed over the axes.

    An axis with one voxel adds nothing.
    """
    axes = [axis for axis in range(2, residual.ndim) if residual.shape[axis] > 1]
    return torch.stack([residual.new_zeros(())] + [residual.diff(dim=axis).square().mean() for axis in axes]).sum()


class RefinementDistance(nn.Module):
    """The distance Q of Eq. 3 and 4: ``mse * MSE + variation * TV + similarity * (1 - SSIM)``.

    TV is the :func:`residual_variation` of the residual, SSIM that of
    :class:`shared_networks.losses.VolumeSimilarityLoss`. All terms are means, so that Q of both modalities is the mean
    of theirs.
    """

    def __init__(self, mse: float = 40.0, variation: float = 20.0, similarity: float = 1.0) -> None:
        super().__init__()
        self.mse, self.variation, self.similarity = mse, variation, similarity
        self.similarity_loss = VolumeSimilarityLoss()

    @in_single_precision
    def forward(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """estimate and target: B x C x X x Y x Z of one shape -> scalar, >= 0."""
        residual = estimate - target
        distance = self.mse * residual.square().mean() + self.variation * residual_variation(residual)
        if self.similarity:
            distance = distance + self.similarity * self.similarity_loss(estimate, target)
        return distance


class TwoLevelRefinementLoss(nn.Module):
    """Loss of stage 1 (Eq. 5): ``L_TR = L_IR + alpha * L_FR``.

    ``L_IR`` (Eq. 3) draws the reconstructions of clean and of degraded images to the clean images, ``L_FR`` (Eq. 4)
    the features of degraded images to those of the clean ones. Both are computed in single precision also under
    autocast: variances lose all their digits in a half precision.

    One call of the network makes everything that a step needs, so that MONAI's ``SupervisedTrainer`` (and
    DistributedDataParallel, where only ``forward`` may be called) runs stage 1 as it is:
    :class:`shared_networks.engines.PrepareRefinementBatch` puts the clean images and their K negatives one after the
    other in the batch and asks :class:`shared_networks.nets.DegradationAutoencoder` for its features too, and this
    loss takes the output apart. K = 1 in the paper, 3 in the released code.

    The values of the last call are in :attr:`parts` for logging: ``L_IR_clean``, ``L_IR_degraded`` (the two terms of
    Eq. 3), ``L_IR``, ``L_FR`` and ``L_TR``, detached tensors on the device.

    Args:
        alpha: weight of L_FR (1 in the paper); 0 leaves it out, and the prediction needs no features.
        image_distance: Q on images; None for the paper's.
        feature_distance: Q on features; None for the paper's without SSIM.
            ``RefinementDistance(similarity=1.0)`` reads Eq. 4 to the letter.
        detach_target: take the features of the clean images as a fixed target of L_FR.
        negative_weight: weight of the terms of the negatives, which are means over the K of them: 1 keeps the balance
            of Eq. 3 for any K, K makes sums of them.

    Raises:
        ValueError: in the call, when the prediction does not belong to the target.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        image_distance: nn.Module | None = None,
        feature_distance: nn.Module | None = None,
        detach_target: bool = False,
        negative_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.image_distance = RefinementDistance() if image_distance is None else image_distance
        self.feature_distance = RefinementDistance(similarity=0.0) if feature_distance is None else feature_distance
        self.detach_target = detach_target
        self.negative_weight = negative_weight
        self.parts: dict[str, torch.Tensor] = {}

    @in_single_precision
    def forward(self, prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Combine both levels -> scalar.

        The prediction, ((1 + K) * B) x (2 + 2C) x X x Y x Z, has reconstructions of both modalities, then their
        features; first the clean batch, then that of every negative in turn. The target, B x 2 x X x Y x Z, has the
        clean images in [0, 1].
        """
        batch = target.shape[0]
        if prediction.shape[0] % batch or prediction.shape[0] == batch or prediction.shape[2:] != target.shape[2:]:
            raise ValueError(
                f"prediction {tuple(prediction.shape)} does not hold a clean and at least one degraded image for each "
                f"of target {tuple(target.shape)}."
            )
        if self.alpha and prediction.shape[1] <= target.shape[1]:
            raise ValueError(
                f"alpha {self.alpha} needs features behind the images: got {prediction.shape[1]} channels."
            )
        negatives = prediction.shape[0] // batch - 1
        images, features = prediction[:, : target.shape[1]], prediction[:, target.shape[1] :]
        clean = self.image_distance(images[:batch], target)
        degraded = self.image_distance(images[batch:], _repeat(target, negatives))
        total = image_level = clean + self.negative_weight * degraded
        parts = {"L_IR_clean": clean, "L_IR_degraded": degraded, "L_IR": image_level}
        if self.alpha:
            goal = features[:batch].detach() if self.detach_target else features[:batch]
            feature_level = self.feature_distance(features[batch:], _repeat(goal, negatives))
            total = total + self.alpha * self.negative_weight * feature_level
            parts["L_FR"] = feature_level
        parts["L_TR"] = total
        self.parts = {name: value.detach() for name, value in parts.items()}
        return total


def _repeat(batch: torch.Tensor, times: int) -> torch.Tensor:
    """The whole batch again for every negative."""
    return batch.repeat(times, *[1] * (batch.ndim - 1))
