"""One number that compares a fused image with the plain maximum of its sources, for choosing weights."""

from collections.abc import Sequence

import torch
from monai.metrics import CumulativeIterationMetric

from shared_networks.metrics.base import FusionMetric


class RelativeFusionScore(CumulativeIterationMetric):
    """Mean over several fusion metrics of (mean score of the fused images) / (mean score of their sources' maximum).

    The metrics, in each of which larger must be better, have different units and modalities different levels, so they
    cannot be averaged as they are; the plain maximum of the two sources, the strongest rival that needs no parameters,
    is the natural unit. A score of 1 is as good as the maximum. Called like
    :class:`shared_networks.metrics.FusionMetric`.
    """

    def __init__(self, metrics: Sequence[FusionMetric]) -> None:
        super().__init__()
        if not metrics:
            raise ValueError("metrics must hold at least one metric.")
        self.metrics = list(metrics)

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Return B x 2 K: the K scores of the fused images, then the K scores of the maximum."""
        y = y.to(y_pred.device)
        maximum = y.amax(dim=1, keepdim=True)
        scores = [metric(y_pred=image, y=y) for image in (y_pred, maximum) for metric in self.metrics]
        for metric in self.metrics:
            metric.reset()
        return torch.cat(scores, dim=1)

    def aggregate(self) -> torch.Tensor:
        """Return the score over all images, a scalar tensor."""
        fused, maximum = self.get_buffer().nanmean(dim=0).chunk(2)
        return (fused / maximum).mean()
