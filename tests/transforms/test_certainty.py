"""Numbers about the probabilities: closed forms on a few voxels."""

import math

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from shared_networks.transforms import LesionIntervald, SegmentationCertaintyd
from shared_networks.transforms.certainty import lesion_interval


def logits_of(probability):
    """5 classes + fused volume, 6 x N x 1 x 1, whose softmax is (p of class 1 = 1 - p, lesions = p)."""
    p = torch.tensor(probability).reshape(-1, 1, 1)
    output = torch.full((6, *p.shape), -100.0)
    output[1], output[4], output[5] = torch.log(1 - p), torch.log(p), 0.5
    return output


def test_mean_probability_and_uncertain_volume_inside_the_brain():
    output = MetaTensor(
        logits_of([0.1999, 0.2001, 0.5, 0.79, 0.81, 0.6]), affine=torch.diag(torch.tensor([1.0, 2, 5, 1]))
    )
    brain = torch.tensor([1.0, 1, 1, 1, 1, 0]).reshape(1, 6, 1, 1)
    item = SegmentationCertaintyd()({"pred": output, "brain": brain})
    # Three voxels of 10 mm3 are between 0.2 and 0.8.
    assert item["certainty"]["mean_probability"] == pytest.approx(np.mean([0.8001, 0.7999, 0.5, 0.79, 0.81]), abs=1e-4)
    assert item["certainty"]["uncertain_lesion_ml"] == pytest.approx(0.03)
    assert item["pred"] is output
    # Background is one of the classes, also where the label map will not have it.
    output[0, 4] = 100.0
    changed = SegmentationCertaintyd()({"pred": output, "brain": brain})["certainty"]["mean_probability"]
    assert changed == pytest.approx(np.mean([0.8001, 0.7999, 0.5, 0.79, 1.0]), abs=1e-4)


def test_of_the_uncertain_probabilities_the_lowest_counts_and_the_highest_does_not():
    output = torch.full((6, 2, 1, 1), -torch.inf)
    output[1:5, 0], output[3:5, 1], output[5] = 0.0, 0.0, 0.5  # one of four classes, one of two
    item = {"pred": output, "brain": torch.ones(1, 2, 1, 1)}
    assert SegmentationCertaintyd(uncertain=(0.25, 0.5))(item)["certainty"]["uncertain_lesion_ml"] == 0.001


def test_other_classes_and_an_empty_brain():
    item = SegmentationCertaintyd(lesion_class=None)({"pred": logits_of([0.2]), "brain": torch.ones(1, 1, 1, 1)})
    assert item["certainty"] == {"mean_probability": pytest.approx(0.8)}
    empty = SegmentationCertaintyd()({"pred": logits_of([0.2]), "brain": torch.zeros(1, 1, 1, 1)})["certainty"]
    assert math.isnan(empty["mean_probability"]) and empty["uncertain_lesion_ml"] == 0.0


def test_interval_is_about_the_lesions_that_were_found():
    probability = np.zeros((9, 3, 3))
    probability[:, 1, 1] = [0.55, 0.6, 0.9, 0.97, 0.99, 0.4, 0.7, 0.7, 0.0]
    probability[2, 2, 2] = 0.52  # touches a lesion at a corner
    lesion = np.zeros((9, 3, 3), bool)
    lesion[2:5, 1, 1] = True  # 0.9, 0.97, 0.99
    # At 0.95 two voxels are left; at 0.5 the two before and the corner join, the two behind the gap do not.
    assert lesion_interval(lesion, probability) == (2, 6)
    assert lesion_interval(np.zeros_like(lesion), probability) == (0, 0)
    assert lesion_interval(lesion, probability, (0.95, 0.98)) == (1, 3)  # what was called lesion stays in the most


def test_interval_joins_the_other_numbers_and_the_probability_may_go():
    label = MetaTensor(torch.tensor([0, 4, 4, 1]).reshape(1, 4, 1, 1), affine=torch.diag(torch.tensor([2.0, 2, 5, 1])))
    probability = torch.tensor([0.6, 0.9, 0.99, 0.1]).reshape(1, 4, 1, 1)
    item = {"pred": label, "lesion_probability": probability, "certainty": {"mean_probability": 0.9}}
    kept = LesionIntervald()(item)
    assert kept["certainty"] == {"mean_probability": 0.9, "lesion_interval_ml": [0.02, 0.06]}
    assert "lesion_probability" in kept and "lesion_interval_ml" not in item["certainty"]
    assert "lesion_probability" not in LesionIntervald(delete_probability=True)(item)
