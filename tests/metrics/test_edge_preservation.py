import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from shared_networks.metrics import compute_edge_preservation

IDEAL = 0.9994 / (1 + math.exp(-7.5)) * 0.9879 / (1 + math.exp(-4.4))


def reference(fused, a, b):
    """The formulas of the paper, with scipy's convolution and its own branches for the arc tangent."""
    sobel = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])

    def edges(image):
        x = convolve(image, -sobel, mode="constant")
        y = convolve(image, -sobel.T, mode="constant")
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.hypot(x, y), np.where(x == 0, np.pi / 2, np.arctan(y / x))

    strength_f, angle_f = edges(fused)
    kept = weight = 0.0
    for source in (a, b):
        strength, angle = edges(source)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(strength > strength_f, strength_f / strength, strength / strength_f)
        ratio = np.where(strength == strength_f, 1.0, ratio)
        agreement = 1 - np.abs(angle - angle_f) / (np.pi / 2)
        q = 0.9994 / (1 + np.exp(-15 * (ratio - 0.5))) * 0.9879 / (1 + np.exp(-22 * (agreement - 0.8)))
        kept += (q * strength).sum()
        weight += strength.sum()
    return kept / weight


def test_equal_images_score_the_ideal(triplet):
    fused = triplet[0]
    assert compute_edge_preservation(fused, fused, fused).tolist() == pytest.approx([IDEAL] * 2, rel=1e-6)


def test_equals_the_formulas_in_numpy(triplet):
    expected = [reference(f[0], a[0], b[0]) for f, a, b in zip(*(i.numpy() for i in triplet), strict=True)]
    assert compute_edge_preservation(*triplet).tolist() == pytest.approx(expected, abs=2e-4)


def test_flat_fused_image_keeps_nothing(triplet):
    _, a, b = triplet
    flat = torch.zeros_like(a)
    assert compute_edge_preservation(flat, a, b).max().item() < 1e-3


def test_edges_of_other_orientation_are_lost():
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    upright, level = (4 * columns).view(1, 1, 32, 32), (4 * rows).view(1, 1, 32, 32)
    inside = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    value = compute_edge_preservation(level[inside], upright[inside], upright[inside])
    assert value.item() < 0.5 * IDEAL
