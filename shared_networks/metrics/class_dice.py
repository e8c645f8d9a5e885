"""Dice coefficient of every class, with a defined value for a class that is nowhere."""

from collections.abc import Sequence

import torch
from monai.metrics import compute_dice

from shared_networks.metrics.case_metric import CaseMetric


def compute_class_dice(prediction: torch.Tensor, label: torch.Tensor, classes: Sequence[int]) -> torch.Tensor:
    """Dice of some classes in class indices X x Y x Z of one case -> (number of classes,).

    NaN for a class that neither map holds, 0 for one that only one of them holds. (MONAI's metric gives NaN also where
    the label alone is empty, which would hide false alarms.)
    """
    one_hot = [torch.stack([map_ == number for number in classes])[None] for map_ in (prediction, label)]
    dice = compute_dice(*one_hot, include_background=True, ignore_empty=False)[0]
    present = (one_hot[0] | one_hot[1]).flatten(2).any(dim=2)[0]
    return torch.where(present, dice.float(), torch.nan)


class ClassDiceMetric(CaseMetric):
    """:func:`compute_class_dice` as a metric; the mean is that of the classes' means over the cases.

    ``classes`` are all but the background by default, or e.g. ``[4]`` for the lesions alone.
    """

    def __init__(self, classes: Sequence[int] = (1, 2, 3, 4), ignore_label: int | None = None) -> None:
        super().__init__(ignore_label)
        self.classes = tuple(classes)

    def compute(self, prediction: torch.Tensor, label: torch.Tensor, spacing: torch.Tensor) -> torch.Tensor:
        """Return one value a class."""
        return compute_class_dice(prediction, label, self.classes)
