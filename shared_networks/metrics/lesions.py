"""Lesions one by one: connected components, how many of them are found, and how far off their borders are."""

from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics import compute_hausdorff_distance
from scipy import ndimage

from shared_networks.metrics.case_metric import CaseMetric


def lesion_components(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Connected components of a mask X x Y x Z; voxels that touch at a corner belong together.

    Returns component numbers X x Y x Z (0 background, 1, 2 ...) and their sizes in voxels, of component 1 first.
    """
    numbers, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return numbers, np.bincount(numbers.ravel(), minlength=count + 1)[1:]


@dataclass(frozen=True)
class LesionDetection:
    """Lesions of the label that the prediction touches (found) or not (missed), and predicted ones that touch none
    (false).
    """

    found: int
    missed: int
    false: int

    @property
    def f1(self) -> float:
        """``2 found / (2 found + missed + false)``; NaN when there is no lesion in either map."""
        total = 2 * self.found + self.missed + self.false
        return 2 * self.found / total if total else float("nan")


def compute_lesion_detection(prediction: np.ndarray, label: np.ndarray) -> LesionDetection:
    """Compare masks X x Y x Z by lesion; one common voxel is enough, as in the WMH challenge (Kuijf et al. 2019)."""
    lesions, sizes = lesion_components(label)
    predicted, predicted_sizes = lesion_components(prediction)
    found = np.unique(lesions[prediction & label]).size
    touching = np.unique(predicted[prediction & label]).size
    return LesionDetection(found, sizes.size - found, predicted_sizes.size - touching)


def compute_lesion_hausdorff(
    prediction: torch.Tensor, label: torch.Tensor, spacing: torch.Tensor, percentile: float = 95.0
) -> float:
    """Hausdorff distance in mm of two masks X x Y x Z with voxels of ``spacing`` mm; NaN when either is empty.

    ``percentile`` is of the distances between the surfaces; 95 leaves single voxels aside.
    """
    if not (bool(prediction.any()) and bool(label.any())):
        return float("nan")
    distance = compute_hausdorff_distance(
        prediction[None, None].float(),
        label[None, None].float(),
        include_background=True,
        percentile=percentile,
        spacing=[float(size) for size in spacing],
    )
    return float(distance)


class LesionF1Metric(CaseMetric):
    """Lesion-wise F1 of the class ``label``, see :func:`compute_lesion_detection` and :class:`CaseMetric`."""

    def __init__(self, label: int = 4, ignore_label: int | None = None) -> None:
        super().__init__(ignore_label)
        self.label = label

    def compute(self, prediction: torch.Tensor, label: torch.Tensor, spacing: torch.Tensor) -> torch.Tensor:
        """Return one value."""
        masks = ((map_ == self.label).cpu().numpy() for map_ in (prediction, label))
        return torch.tensor([compute_lesion_detection(*masks).f1])


class LesionHausdorffMetric(CaseMetric):
    """95 % Hausdorff distance in mm of the class ``label``, see :func:`compute_lesion_hausdorff` and
    :class:`CaseMetric`.
    """

    def __init__(self, label: int = 4, percentile: float = 95.0, ignore_label: int | None = None) -> None:
        super().__init__(ignore_label)
        self.label = label
        self.percentile = percentile

    def compute(self, prediction: torch.Tensor, label: torch.Tensor, spacing: torch.Tensor) -> torch.Tensor:
        """Return one value."""
        masks = (map_ == self.label for map_ in (prediction, label))
        return torch.tensor([compute_lesion_hausdorff(*masks, spacing, self.percentile)])
