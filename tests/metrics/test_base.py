import csv

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.handlers import IgniteMetricHandler, MetricsSaver

from shared_networks import metrics
from shared_networks.errors import InputError

# Metric of an evaluator -> function of a batch.
METRICS = {
    metrics.AverageGradientMetric: metrics.compute_average_gradient,
    metrics.CorrelationOfDifferencesMetric: metrics.compute_correlation_of_differences,
    metrics.EdgePreservationMetric: metrics.compute_edge_preservation,
    metrics.EntropyMetric: metrics.compute_entropy,
    metrics.FeatureMutualInformationMetric: metrics.compute_feature_mutual_information,
    metrics.MeanSourceSSIMMetric: metrics.compute_mean_source_ssim,
    metrics.MultiExposureSSIMMetric: metrics.compute_multi_exposure_ssim,
    metrics.MutualInformationMetric: metrics.compute_mutual_information,
    metrics.StandardDeviationMetric: metrics.compute_standard_deviation,
    metrics.VisualInformationFidelityMetric: metrics.compute_visual_information_fidelity,
}
DIFFERENTIABLE = [
    metrics.compute_correlation_of_differences,
    metrics.compute_edge_preservation,
    metrics.compute_multi_exposure_ssim,
    metrics.compute_soft_mutual_information,
    metrics.compute_standard_deviation,
    metrics.compute_visual_information_fidelity,
]


@pytest.fixture
def pair(triplet):
    """Fused B x 1 x H x W and sources B x 2 x H x W in [0, 1]."""
    fused, a, b = triplet
    return fused.float() / 255, torch.cat([a, b], dim=1).float() / 255


@pytest.mark.parametrize("definition", ["standard", "paper"])
@pytest.mark.parametrize(("metric_class", "function"), METRICS.items())
def test_class_gives_the_values_of_its_function(pair, triplet, metric_class, function, definition):
    metric = metric_class(definition)
    returned = metric(y_pred=pair[0], y=pair[1])
    expected = function(*triplet, definition)
    assert returned.shape == metric.get_buffer().shape == (2, 1)
    assert metric.get_buffer()[:, 0].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert metric.aggregate().item() == pytest.approx(expected.mean().item(), rel=1e-6)


@pytest.mark.parametrize("definition", ["standard", "paper"])
@pytest.mark.parametrize("function", METRICS.values())
def test_value_does_not_depend_on_the_batch_or_the_order_of_the_sources(triplet, function, definition):
    fused, a, b = triplet
    together = function(fused, a, b, definition)
    alone = torch.cat([function(fused[i : i + 1], a[i : i + 1], b[i : i + 1], definition) for i in range(2)])
    assert together.tolist() == pytest.approx(alone.tolist(), rel=1e-6)
    assert together.tolist() == pytest.approx(function(fused, b, a, definition).tolist(), rel=1e-6)
    assert together[0].item() != pytest.approx(together[1].item(), rel=1e-4)


@pytest.mark.parametrize("function", DIFFERENTIABLE)
def test_gradient_equals_finite_differences(triplet, function):
    fused, a, b = (image[1:, :, :41, 14:55] for image in triplet)
    generator = torch.Generator().manual_seed(3)
    # Off the whole levels, where Sobel differences may be 0 and Qabf has a kink; compared along one direction.
    fused = fused + torch.rand(fused.shape, generator=generator, dtype=torch.float64)
    direction = torch.randn(fused.shape, generator=generator, dtype=torch.float64)
    point = fused.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(point, a, b).sum(), point)
    step = 1e-5
    difference = (function(fused + step * direction, a, b) - function(fused - step * direction, a, b)) / (2 * step)
    assert (gradient * direction).sum().item() == pytest.approx(difference.item(), rel=1e-3)


@pytest.mark.parametrize("level", [0.0, 255.0])
@pytest.mark.parametrize("function", DIFFERENTIABLE)
def test_values_and_gradients_are_finite_on_constant_patches(triplet, function, level):
    _, a, b = (image[:1].float() for image in triplet)
    for source_a, source_b in ((a, b), (torch.full_like(a, level), b), (torch.full_like(a, level),) * 2):
        fused = torch.full_like(a, level).requires_grad_()
        value = function(fused, source_a, source_b)
        (gradient,) = torch.autograd.grad(value.sum(), fused)
        assert value.isfinite().all()
        assert gradient.isfinite().all()
        assert gradient.abs().max() < 0.1


@pytest.mark.parametrize("function", DIFFERENTIABLE)
def test_single_precision_suffices(triplet, function):
    single = function(*(image.float() for image in triplet))
    assert single.dtype == torch.float32
    assert single.tolist() == pytest.approx(function(*triplet).tolist(), rel=1e-4)


@pytest.mark.parametrize("function", METRICS.values())
def test_wrong_arguments_are_refused(function):
    image = torch.zeros(1, 1, 48, 48)
    with pytest.raises(ValueError, match="definition must be one of"):
        function(image, image, image, "papers")
    with pytest.raises(ValueError, match="one shape"):
        function(image, image, image[..., 1:])
    with pytest.raises(ValueError, match="one shape"):
        function(*[image.expand(1, 2, 48, 48)] * 3)


def test_unknown_definition_is_refused_by_the_class():
    with pytest.raises(ValueError, match="definition must be one of"):
        metrics.EntropyMetric("MATLAB")


def test_images_of_different_sizes_in_a_list(pair):
    fused, sources = pair
    metric = metrics.VisualInformationFidelityMetric()
    metric(y_pred=[fused[0], fused[1, :, :44]], y=[sources[0], sources[1, :, :44]])
    expected = [
        metrics.compute_visual_information_fidelity(f * 255, s[:, :1] * 255, s[:, 1:] * 255).item()
        for f, s in ((fused[:1], sources[:1]), (fused[1:, :, :44], sources[1:, :, :44]))
    ]
    assert metric.aggregate("none")[:, 0].tolist() == pytest.approx(expected, rel=1e-5)


def test_values_accumulate_over_calls_and_reset(pair):
    metric = metrics.EntropyMetric()
    for i in range(2):
        metric(y_pred=pair[0][i : i + 1], y=pair[1][i : i + 1])
    values = metric.aggregate("none")
    assert values.shape == (2, 1)
    assert metric.aggregate("sum").item() == pytest.approx(values.sum().item())
    metric.reset()
    with pytest.raises(ValueError, match="no images were scored"):
        metric.aggregate()


def test_unknown_reduction_is_refused(pair):
    metric = metrics.EntropyMetric()
    metric(y_pred=pair[0], y=pair[1])
    with pytest.raises(ValueError, match="reduction"):
        metric.aggregate("median")


def test_quantise_rounds_and_clips_to_8_bit(pair):
    fused, sources = pair
    between = (fused * 255 + 0.3) / 255 + (fused == 1) * 0.5
    exact, rounded = metrics.StandardDeviationMetric(quantise=False), metrics.StandardDeviationMetric()
    exact(y_pred=between, y=sources)
    rounded(y_pred=between, y=sources)
    expected = metrics.compute_standard_deviation(fused * 255, fused * 255, fused * 255)
    assert rounded.get_buffer()[:, 0].tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert exact.get_buffer()[:, 0].tolist() == pytest.approx((between * 255).flatten(1).std(1, correction=0).tolist())


def test_meta_tensors_give_plain_values(pair):
    metric = metrics.AverageGradientMetric()
    returned = metric(y_pred=MetaTensor(pair[0]), y=MetaTensor(pair[1]))
    assert not isinstance(returned, MetaTensor)


def test_volume_scores_the_mean_of_its_informative_slices(pair):
    fused, sources = pair
    slices_f = torch.stack([fused[0], fused[0] + 0.1, fused[1]], dim=-1)
    slices_s = torch.stack([sources[0], torch.full_like(sources[0], 0.5), sources[1]], dim=-1)
    metric = metrics.CorrelationOfDifferencesMetric()
    metric(y_pred=[slices_f, slices_f[..., 1:2]], y=[slices_s, slices_s[..., 1:2]])
    flat = metrics.CorrelationOfDifferencesMetric()
    flat(y_pred=fused, y=sources)
    assert metric.get_buffer()[0].item() == pytest.approx(flat.aggregate().item(), rel=1e-6)
    # The second volume holds only the constant slice: no value, and the mean leaves it out.
    assert metric.get_buffer()[1].isnan()
    assert metric.aggregate().item() == pytest.approx(flat.aggregate().item(), rel=1e-6)


def test_volume_of_more_slices_than_are_scored_at_once(pair):
    fused, sources = (image[:1].unsqueeze(-1).repeat(1, 1, 1, 1, 37) for image in pair)
    volume, picture = metrics.EntropyMetric(), metrics.EntropyMetric()
    volume(y_pred=fused, y=sources)
    picture(y_pred=pair[0][:1], y=pair[1][:1])
    assert volume.aggregate().item() == pytest.approx(picture.aggregate().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("fused_shape", "sources_shape"),
    [((1, 1, 8, 8), (1, 1, 8, 8)), ((1, 2, 8, 8), (1, 2, 8, 8)), ((1, 1, 8, 8), (1, 2, 8, 9)), ((1, 8, 8), (2, 8, 8))],
)
def test_wrong_shapes_are_refused(fused_shape, sources_shape):
    with pytest.raises(InputError, match="expected a fused image"):
        metrics.EntropyMetric()(y_pred=torch.zeros(fused_shape), y=torch.zeros(sources_shape))


def test_missing_sources_are_refused():
    with pytest.raises(InputError, match="y is missing"):
        metrics.EntropyMetric()(y_pred=torch.zeros(1, 1, 8, 8))


def test_handlers_of_monai_write_one_row_per_image(pair, tmp_path):
    evaluator = Engine(lambda engine, batch: batch)
    evaluator.state.metric_details = {}
    metric = IgniteMetricHandler(
        metrics.EntropyMetric(), output_transform=lambda batch: (list(batch["pred"]), list(batch["image"]))
    )
    metric.attach(evaluator, "EN")
    names = ["first.png", "second.png"]
    MetricsSaver(
        str(tmp_path), metrics="*", metric_details="*", batch_transform=lambda b: [{"filename_or_obj": b["name"]}]
    ).attach(evaluator)
    batches = [{"pred": pair[0][i : i + 1], "image": pair[1][i : i + 1], "name": names[i]} for i in range(2)]
    evaluator.run(batches)
    with (tmp_path / "EN_raw.csv").open() as file:
        rows = list(csv.reader(file))
    expected = metrics.compute_entropy(*[pair[0] * 255] * 3)
    assert [row[0] for row in rows[1:]] == names
    assert np.array([row[1] for row in rows[1:]], dtype=float) == pytest.approx(expected.numpy(), rel=1e-5)
    assert evaluator.state.metrics["EN"] == pytest.approx(expected.mean().item(), rel=1e-5)
