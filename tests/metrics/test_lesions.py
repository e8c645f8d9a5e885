"""Lesions one by one: small maps counted by hand, distances in mm."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from shared_networks.metrics import (
    LesionF1Metric,
    LesionHausdorffMetric,
    compute_lesion_detection,
    compute_lesion_hausdorff,
    lesion_components,
)


def mask(*boxes, shape=(20, 12, 8)):
    """Boolean volume with boxes of 2 x 2 x 2 voxels at the given corners."""
    volume = np.zeros(shape, bool)
    for x, y, z in boxes:
        volume[x : x + 2, y : y + 2, z : z + 2] = True
    return volume


def test_corners_join_components():
    numbers, sizes = lesion_components(mask((0, 0, 0), (2, 2, 2), (10, 0, 0)))
    assert sizes.tolist() == [16, 8] and numbers[0, 0, 0] == numbers[3, 3, 3] != numbers[10, 0, 0]
    assert lesion_components(mask())[1].size == 0


def test_one_common_voxel_finds_a_lesion():
    label = mask((0, 0, 0), (6, 0, 0), (12, 0, 0))
    prediction = mask((1, 1, 1), (6, 0, 0), (16, 8, 4), (0, 8, 4))
    detection = compute_lesion_detection(prediction, label)
    assert (detection.found, detection.missed, detection.false) == (2, 1, 2)
    assert detection.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))


def test_one_prediction_over_two_lesions_finds_both():
    label = mask((0, 0, 0), (4, 0, 0))
    prediction = label.copy()
    prediction[0:6, 0, 0] = True
    detection = compute_lesion_detection(prediction, label)
    assert (detection.found, detection.missed, detection.false) == (2, 0, 0) and detection.f1 == 1.0


def test_extremes():
    some, none = mask((0, 0, 0)), mask()
    assert compute_lesion_detection(some, none).f1 == 0.0 == compute_lesion_detection(none, some).f1
    assert np.isnan(compute_lesion_detection(none, none).f1)


def test_distance_is_in_millimetres():
    one = torch.from_numpy(mask((4, 4, 2)))
    spacing = torch.tensor([0.9, 0.5, 6.5])
    for shift, distance in (((3, 0, 0), 2.7), ((0, 4, 0), 2.0), ((0, 0, 2), 13.0)):
        moved = torch.from_numpy(mask(tuple(a + b for a, b in zip((4, 4, 2), shift, strict=True))))
        assert compute_lesion_hausdorff(one, moved, spacing, percentile=100) == pytest.approx(distance, abs=1e-4)
    assert compute_lesion_hausdorff(one, one, spacing) == 0.0
    assert np.isnan(compute_lesion_hausdorff(one, torch.zeros_like(one), spacing))
    assert np.isnan(compute_lesion_hausdorff(torch.zeros_like(one), one, spacing))


def test_percentile_leaves_a_single_voxel_aside():
    label = np.zeros((40, 12, 8), bool)
    label[2:10, 2:10, 2:6] = True
    prediction = label.copy()
    prediction[35, 5, 4] = True
    masks, spacing = [torch.from_numpy(volume) for volume in (prediction, label)], torch.ones(3)
    assert compute_lesion_hausdorff(*masks, spacing, percentile=100) == pytest.approx(26.0)
    assert compute_lesion_hausdorff(*masks, spacing) == 0.0


def as_label(volume):
    """Lesions are class 4 in white matter, voxels of 1 x 1 x 6 mm."""
    affine = torch.diag(torch.tensor([-1.0, 1.0, 6.0, 1.0], dtype=torch.float64))
    return MetaTensor(torch.from_numpy(np.where(volume, 4, 3).astype(np.uint8))[None], affine=affine)


def test_metrics_take_class_and_spacing_from_the_label_map():
    label, prediction = as_label(mask((4, 4, 2))), as_label(mask((4, 4, 3), (16, 4, 2)))
    f1, distance = LesionF1Metric(), LesionHausdorffMetric(percentile=100)
    for metric in (f1, distance):
        metric([prediction, as_label(mask())], [label, as_label(mask())])
        assert metric.undefined().tolist() == [1]
    assert f1.aggregate().item() == pytest.approx(2 / 3)
    assert distance.aggregate().item() == pytest.approx(12.0)  # the false lesion's far end, 17, from 5
    distance.reset()
    distance(as_label(mask((4, 4, 3)))[None], label[None])
    assert distance.aggregate().item() == pytest.approx(6.0)


def test_lesions_where_nobody_classified_are_no_false_ones():
    label, prediction = as_label(mask((4, 4, 2))), as_label(mask((4, 4, 2), (16, 4, 2)))
    label[:, 14:] = 255
    for ignore_label, expected in ((None, (2 / 3, 12.0)), (255, (1.0, 0.0))):
        f1 = LesionF1Metric(ignore_label=ignore_label)
        distance = LesionHausdorffMetric(percentile=100, ignore_label=ignore_label)
        for metric, value in zip((f1, distance), expected, strict=True):
            metric(prediction[None], label[None])
            assert metric.aggregate().item() == pytest.approx(value)
