"""Dice by class: hand-counted overlaps, and classes that are nowhere."""

import pytest
import torch
from monai.handlers import IgniteMetricHandler

from shared_networks.errors import InputError
from shared_networks.metrics import ClassDiceMetric, compute_class_dice


def row(*values):
    """1 x 1 x 1 x len x 1 label map."""
    return torch.tensor(values, dtype=torch.uint8).view(1, 1, 1, -1, 1)


def test_hand_counted_overlaps():
    dice = compute_class_dice(row(1, 1, 1, 2, 0, 3)[0, 0], row(1, 1, 2, 2, 2, 0)[0, 0], (1, 2, 3, 4))
    # class 1: 2 of 3 and 2; class 2: 1 of 1 and 3; class 3: a false alarm; class 4: nowhere
    assert dice[:3].tolist() == pytest.approx([4 / 5, 2 / 4, 0.0]) and dice[3].isnan()


def test_a_missed_class_scores_zero():
    assert compute_class_dice(row(0, 0)[0, 0], row(4, 0)[0, 0], (4,)).tolist() == [0.0]


def test_means_leave_undefined_values_out_and_count_them():
    metric = ClassDiceMetric(classes=(1, 4))
    metric(y_pred=row(1, 1, 4, 0), y=row(1, 0, 4, 0))
    metric(y_pred=row(1, 0, 0, 0), y=row(1, 0, 0, 0))
    assert metric.aggregate("columns").tolist() == pytest.approx([(2 / 3 + 1) / 2, 1.0])
    assert metric.aggregate().item() == pytest.approx((5 / 6 + 1) / 2)
    assert metric.undefined().tolist() == [0, 1]
    assert metric.aggregate("none").shape == (2, 2)
    with pytest.raises(ValueError, match="reduction"):
        metric.aggregate("sum")
    metric.reset()
    with pytest.raises(ValueError, match="no cases were scored"):
        metric.aggregate()


def test_what_nobody_classified_is_no_error():
    # A third of class 3 is not labelled: without a word about it the prediction loses 2 of 6.
    prediction, label = row(3, 3, 3, 3, 3, 3, 1), row(3, 3, 3, 3, 255, 255, 1)
    for ignore_label, expected in ((None, [1.0, 2 * 4 / (6 + 4)]), (255, [1.0, 1.0])):
        metric = ClassDiceMetric(classes=(1, 3), ignore_label=ignore_label)
        metric(y_pred=prediction, y=label)
        assert metric.aggregate("columns").tolist() == pytest.approx(expected)
    # A class that only such voxels were predicted to be is nowhere.
    metric = ClassDiceMetric(classes=(4,), ignore_label=255)
    metric(y_pred=row(3, 4), y=row(3, 255))
    assert metric.undefined().tolist() == [1]


def test_it_runs_as_an_ignite_metric_on_lists_of_different_sizes():
    handler = IgniteMetricHandler(ClassDiceMetric(classes=(4,)), save_details=False)
    handler.update([[row(4, 4)[0], row(4, 0, 0)[0]], [row(4, 0)[0], row(4, 0, 0)[0]]])
    assert handler.compute() == pytest.approx((2 / 3 + 1) / 2)


@pytest.mark.parametrize("shapes", [((1, 2, 3, 3, 3), (1, 2, 3, 3, 3)), ((1, 1, 3, 3, 3), (1, 1, 3, 3, 2))])
def test_other_shapes_are_refused(shapes):
    with pytest.raises(InputError, match="expected two label maps"):
        ClassDiceMetric()(*[torch.zeros(shape) for shape in shapes])
