import numpy as np
import pytest
import torch

from shared_networks.metrics import compute_feature_mutual_information
from shared_networks.metrics.feature_mutual_information import sobel_edges


def window_information(first, second):
    """Normalised mutual information of two 3 x 3 windows, sums written out as in the paper's definition."""
    if np.array_equal(first, second):
        return 1.0
    p, q = (
        (np.ones(9) if window.max() == window.min() else window.T.ravel().astype(float)) for window in (first, second)
    )
    p, q = p / p.sum(), q / q.sum()
    cumulative_p, cumulative_q = np.cumsum(p), np.cumsum(q)
    flat = np.ptp(p) == 0 or np.ptp(q) == 0
    correlation = 0.0 if flat else np.corrcoef(p, q)[0, 1]
    places = np.arange(9)
    deviation = np.sqrt(np.cov(places, aweights=p, ddof=0) * np.cov(places, aweights=q, ddof=0))

    def bound(i, j):
        if i < 0 or j < 0:
            return 0.0
        if correlation >= 0:
            return min(cumulative_p[i], cumulative_q[j])
        return max(cumulative_p[i] + cumulative_q[j] - 1, 0)

    covariance = sum(bound(i, j) - cumulative_p[i] * cumulative_q[j] for i in range(9) for j in range(9))
    share = 0.0 if abs(covariance) < 1e-12 or deviation < 1e-12 else correlation * deviation / covariance
    joint_entropy = 0.0
    for i in range(9):
        for j in range(9):
            corner = bound(i, j) - bound(i - 1, j) - bound(i, j - 1) + bound(i - 1, j - 1)
            probability = share * corner + (1 - share) * p[i] * q[j]
            if abs(probability) > 1e-15:
                joint_entropy -= probability * np.log2(abs(probability))
    entropy = sum(-(d[d > 0] * np.log2(d[d > 0])).sum() for d in (p, q))
    return 2 * (entropy - joint_entropy) / entropy if entropy else 0.0


def test_equals_window_by_window_numpy(triplet):
    edges = [sobel_edges(image)[:, 0].numpy() for image in triplet]
    assert all(0.01 < e.mean() < 0.5 for e in edges)
    expected = []
    for f, a, b in zip(*edges, strict=True):
        windows = [(slice(r, r + 3), slice(c, c + 3)) for r in range(46) for c in range(54)]
        expected.append(np.mean([(window_information(s[w], f[w])) for w in windows for s in (a, b)]))
    assert compute_feature_mutual_information(*triplet).tolist() == pytest.approx(expected, abs=1e-9)


def test_equal_images_score_one(triplet):
    fused = triplet[0]
    assert compute_feature_mutual_information(fused, fused, fused).tolist() == [1.0, 1.0]


def test_step_edge_is_one_pixel_wide():
    image = torch.zeros(1, 1, 12, 12)
    image[..., 6:] = 200.0
    edges = sobel_edges(image)[0, 0]
    assert edges[1:-1].sum(dim=1).tolist() == [1] * 10
    assert set(edges.nonzero()[:, 1].tolist()) <= {5, 6}
    assert not edges[[0, -1]].any()


def test_flat_image_has_no_edges():
    assert not sobel_edges(torch.full((1, 1, 9, 9), 50.0)).any()


def test_flat_fused_image_scores_the_windows_that_have_no_edge(triplet):
    _, a, b = triplet
    flat = torch.full_like(a, 30.0)
    # A window with edges shares nothing with a flat one, a window without any equals it.
    empty = [1 - torch.nn.functional.max_pool2d(sobel_edges(s).double(), 3, stride=1) for s in (a, b)]
    expected = torch.stack(empty).mean(dim=(0, 2, 3, 4))
    assert compute_feature_mutual_information(flat, a, b).tolist() == pytest.approx(expected.tolist(), abs=1e-12)
