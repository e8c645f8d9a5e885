"""Images that the metric tests share."""

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def triplet():
    """Fused image and two sources, 2 x 1 x 48 x 56, whole grey levels, float64: smooth structure, noise and black."""
    generator = np.random.default_rng(7)
    rows, columns = np.mgrid[0:48, 0:56]
    first = 120 + 90 * np.sin(rows / 5.0) * np.cos(columns / 7.0)
    second = 110 + 100 * np.cos((rows + columns) / 6.0)
    images = []
    for strength in (6.0, 25.0):
        a = first + generator.normal(0, strength, first.shape)
        b = second + generator.normal(0, strength, first.shape)
        f = 0.6 * a + 0.5 * b + generator.normal(0, strength, first.shape)
        stack = np.stack([f, a, b])
        stack[:, :, :12] = 0
        stack[1, 36:] = 0
        images.append(stack)
    batch = torch.from_numpy(np.stack(images).clip(0, 255).round())
    return batch[:, 0:1], batch[:, 1:2], batch[:, 2:3]
