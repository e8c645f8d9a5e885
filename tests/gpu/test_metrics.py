"""Every metric takes a prediction on the GPU and sources or labels that stayed on the CPU, and says the same."""

import pytest
import torch
from monai.data import MetaTensor

from shared_networks import metrics
from shared_networks.metrics import (
    ClassDiceMetric,
    FusionMetric,
    LesionF1Metric,
    LesionHausdorffMetric,
    RelativeFusionScore,
    StandardDeviationMetric,
)

FUSION = sorted(
    (kind for kind in vars(metrics).values() if isinstance(kind, type) and issubclass(kind, FusionMetric)),
    key=lambda kind: kind.__name__,
)
FUSION.remove(FusionMetric)


@pytest.fixture(scope="module")
def images():
    coarse = torch.rand(2, 3, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, size=(48, 48, 3), mode="trilinear")
    return smooth[:, :1], smooth[:, 1:]


@pytest.mark.parametrize("where", ["sources on the CPU", "all on the GPU"])
@pytest.mark.parametrize("kind", FUSION)
def test_fusion_metrics(kind, where, images, gpu):
    fused, sources = images
    there = sources if where == "sources on the CPU" else sources.to("cuda")
    for index in (slice(None), (..., 0)):  # volumes, pictures
        expected = kind()(y_pred=fused[index], y=sources[index])
        result = kind()(y_pred=fused.to("cuda")[index], y=there[index])
        assert result.shape == (2, 1) and torch.allclose(result.cpu(), expected, atol=1e-6)


def test_relative_score(images, gpu):
    fused, sources = (image[..., 0] for image in images)
    scores = []
    for device in ("cpu", "cuda"):
        metric = RelativeFusionScore([StandardDeviationMetric()])
        metric(y_pred=fused.to(device), y=sources)
        scores.append(metric.aggregate().item())
    assert scores[0] == pytest.approx(scores[1])


@pytest.mark.parametrize("metric", [ClassDiceMetric, LesionF1Metric, LesionHausdorffMetric])
def test_segmentation_metrics(metric, gpu):
    generator = torch.Generator().manual_seed(1)
    prediction, label = (torch.randint(0, 5, (1, 1, 12, 11, 6), generator=generator) for _ in range(2))
    label = MetaTensor(label, affine=torch.diag(torch.tensor([1.0, 1.0, 3.0, 1.0])))
    expected = metric()(y_pred=prediction, y=label)
    for there in (label, label.to("cuda")):
        assert torch.allclose(metric()(y_pred=prediction.to("cuda"), y=there).cpu(), expected)
