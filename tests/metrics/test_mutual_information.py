import numpy as np
import pytest
import torch

from shared_networks.metrics import compute_entropy, compute_mutual_information


def reference(fused, source):
    """Sum of p log2(p / (p q)) over the joint histogram that numpy makes."""
    joint, _, _ = np.histogram2d(fused.ravel(), source.ravel(), bins=256, range=[[-0.5, 255.5]] * 2)
    joint = joint / joint.sum()
    product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    filled = joint > 0
    return (joint[filled] * np.log2(joint[filled] / product[filled])).sum()


def test_image_with_itself_gives_its_entropy_twice(triplet):
    fused = triplet[0]
    expected = 2 * compute_entropy(fused, fused, fused)
    assert torch.allclose(compute_mutual_information(fused, fused, fused), expected, atol=1e-12)


def test_independent_images_share_nothing():
    columns = torch.arange(16.0).repeat(16, 1).view(1, 1, 16, 16)
    rows = columns.transpose(2, 3)
    assert compute_mutual_information(columns, rows, rows).item() == pytest.approx(0.0, abs=1e-12)


def test_equals_numpy_histograms(triplet):
    fused, a, b = triplet
    expected = [sum(reference(f.numpy(), s.numpy()) for s in (x, y)) for f, x, y in zip(fused, a, b, strict=True)]
    assert compute_mutual_information(fused, a, b).tolist() == pytest.approx(expected, abs=1e-9)


def test_paper_definition_merges_254_and_255_in_the_joint_histogram_only():
    # A quarter of the pixels each at (0, 0), (0, 0), (254, 254), (255, 255): H(F) = H(A) = 1.5 bits, and the joint
    # histogram holds two bins of one half: 1 bit. So each source gives 1.5 + 1.5 - 1 = 2, in the standard form 1.5.
    image = torch.tensor([0.0, 0.0, 254.0, 255.0]).view(1, 1, 2, 2)
    assert compute_mutual_information(image, image, image, "standard").item() == pytest.approx(3.0)
    assert compute_mutual_information(image, image, image, "paper").item() == pytest.approx(4.0)


def test_definitions_agree_without_white_pixels(triplet):
    fused, a, b = (image.clamp(max=250) for image in triplet)
    standard, paper = (compute_mutual_information(fused, a, b, d) for d in ("standard", "paper"))
    assert torch.equal(standard, paper)
