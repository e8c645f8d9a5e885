"""The common form of the segmentation metrics: label maps in, one row a case, cases without a value counted."""

from abc import abstractmethod

import torch
from monai.data import MetaTensor
from monai.metrics import CumulativeIterationMetric
from monai.utils import convert_to_tensor

from shared_networks.errors import InputError


def voxel_spacing(volume: torch.Tensor) -> torch.Tensor:
    """Size of a voxel in mm by the affine of a MetaTensor, 1 in every direction for another tensor: 3 values."""
    if not isinstance(volume, MetaTensor):
        return torch.ones(3, dtype=torch.float64)
    return volume.affine.reshape(-1, 4, 4)[0, :3, :3].double().norm(dim=0)


def score_labelled(prediction: torch.Tensor, label: torch.Tensor, ignore_label: int | None) -> torch.Tensor:
    """The prediction with the label's own value where that is ``ignore_label``, so that no class has these voxels.

    Both are class indices; None for a label in which everything is classified.
    """
    return prediction if ignore_label is None else torch.where(label == ignore_label, label, prediction)


class CaseMetric(CumulativeIterationMetric):
    """Score label maps, one row of values a case.

    Called as ``metric(y_pred=prediction, y=label)`` with class indices B x 1 x X x Y x Z, or lists of
    1 x X x Y x Z whose sizes may differ. A value that is not defined for a case (nothing there in either map) is NaN in
    the buffer; :meth:`aggregate` leaves it out of the means, and :meth:`undefined` counts it.

    Args:
        ignore_label: value of the voxels that nobody classified: there neither map counts, as in the training's loss.
    """

    def __init__(self, ignore_label: int | None = None) -> None:
        super().__init__()
        self.ignore_label = ignore_label

    @abstractmethod
    def compute(self, prediction: torch.Tensor, label: torch.Tensor, spacing: torch.Tensor) -> torch.Tensor:
        """Return the values (K,) of one case; maps X x Y x Z, spacing 3 values in mm."""

    def aggregate(self, reduction: str = "mean") -> torch.Tensor:
        """Reduce the collected values, skipping NaN; what no case has is NaN.

        ``"mean"`` is over cases, then over the K values; ``"columns"`` over cases only, (K,); ``"none"`` is one row a
        case, N x K. Raises ValueError when nothing was collected or the reduction is unknown.
        """
        values = self._values()
        if reduction == "none":
            return values
        if reduction == "columns":
            return values.nanmean(dim=0)
        if reduction == "mean":
            return values.nanmean(dim=0).nanmean()
        raise ValueError(f'reduction must be "mean", "columns" or "none", got {reduction!r}.')

    def undefined(self) -> torch.Tensor:
        """Number of cases without a value, (K,)."""
        return self._values().isnan().sum(dim=0)

    def _values(self) -> torch.Tensor:
        values = self.get_buffer()
        if not isinstance(values, torch.Tensor):
            raise ValueError(f"{type(self).__name__}: no cases were scored before aggregate().")
        return values

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        if y is None or y_pred.ndim != 5 or y_pred.shape[1] != 1 or y.shape != y_pred.shape:
            shape = None if y is None else tuple(y.shape)
            raise InputError(
                f"{type(self).__name__}: got y_pred {tuple(y_pred.shape)} and y {shape}; expected two label maps "
                "B x 1 x X x Y x Z of one shape."
            )
        spacing = voxel_spacing(y)
        prediction, label = map(convert_to_tensor, (y_pred, y))
        label = label.to(prediction.device)
        prediction = score_labelled(prediction, label, self.ignore_label)
        rows = [self.compute(p[0], t[0], spacing) for p, t in zip(prediction, label, strict=True)]
        return torch.stack(rows).float()
