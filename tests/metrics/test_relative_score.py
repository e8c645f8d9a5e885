"""The score that chooses weights is 1 for the maximum and rises with every metric."""

import pytest
import torch

from shared_networks.metrics import (
    CorrelationOfDifferencesMetric,
    EdgePreservationMetric,
    RelativeFusionScore,
    StandardDeviationMetric,
)


@pytest.fixture
def sources():
    return torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))


def test_the_maximum_scores_one(sources):
    score = RelativeFusionScore([StandardDeviationMetric(), EdgePreservationMetric(), CorrelationOfDifferencesMetric()])
    score(y_pred=sources.amax(dim=1, keepdim=True), y=sources)
    assert score.aggregate().item() == pytest.approx(1.0, abs=1e-6)


def test_it_is_the_mean_of_ratios_of_means_over_batches(sources):
    metrics = [StandardDeviationMetric(), EdgePreservationMetric()]
    score = RelativeFusionScore(metrics)
    fused = sources.mean(dim=1, keepdim=True)
    for index in range(3):
        score(y_pred=fused[index : index + 1], y=sources[index : index + 1])
    ratios = []
    for metric in (StandardDeviationMetric(), EdgePreservationMetric()):
        metric(y_pred=fused, y=sources)
        ours = metric.aggregate()
        metric.reset()
        metric(y_pred=sources.amax(dim=1, keepdim=True), y=sources)
        ratios.append((ours / metric.aggregate()).item())
    assert score.aggregate().item() == pytest.approx(sum(ratios) / 2, rel=1e-6)


def test_no_metric_is_no_score():
    with pytest.raises(ValueError, match="at least one"):
        RelativeFusionScore([])
