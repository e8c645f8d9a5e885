"""The fusion metrics written out in numpy and scipy, picture by picture, as their papers define them."""

from itertools import product

import numpy as np
from scipy.ndimage import convolve
from scipy.signal import correlate2d
from skimage.measure import shannon_entropy
from skimage.metrics import structural_similarity

SOBEL = np.array([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def average_gradient(fused, a, b):
    vertical, horizontal = np.gradient(fused)
    return np.sqrt((vertical**2 + horizontal**2) / 2).mean()


def correlation_of_differences(fused, a, b):
    return sum(np.corrcoef((fused - other).ravel(), one.ravel())[0, 1] for one, other in ((a, b), (b, a)))


def edge_preservation(fused, a, b):
    """With scipy's convolution and branches of its own for the arc tangent."""

    def edges(image):
        x = convolve(image, -SOBEL, mode="constant")
        y = convolve(image, -SOBEL.T, mode="constant")
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


def entropy(fused, a, b):
    return shannon_entropy(fused, base=2)


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

    covariance = sum(bound(i, j) - cumulative_p[i] * cumulative_q[j] for i, j in product(range(9), repeat=2))
    share = 0.0 if abs(covariance) < 1e-12 or deviation < 1e-12 else correlation * deviation / covariance
    joint_entropy = 0.0
    for i, j in product(range(9), repeat=2):
        corner = bound(i, j) - bound(i - 1, j) - bound(i, j - 1) + bound(i - 1, j - 1)
        probability = share * corner + (1 - share) * p[i] * q[j]
        if abs(probability) > 1e-15:
            joint_entropy -= probability * np.log2(abs(probability))
    entropy = sum(-(d[d > 0] * np.log2(d[d > 0])).sum() for d in (p, q))
    return 2 * (entropy - joint_entropy) / entropy if entropy else 0.0


def thin_edges(image):
    """MATLAB's ``edge(image)``: where the squared Sobel gradient is above four times its mean, a pixel wide."""
    x, y = (np.abs(convolve(image, sobel / 8, mode="nearest")) for sobel in (SOBEL, SOBEL.T))
    square = x**2 + y**2
    edges = np.zeros(image.shape, bool)
    for r, c in product(range(1, image.shape[0] - 1), range(1, image.shape[1] - 1)):
        upright = x[r, c] >= y[r, c] - 1e-13 and square[r, c - 1] <= square[r, c] > square[r, c + 1]
        level = y[r, c] >= x[r, c] - 1e-13 and square[r - 1, c] <= square[r, c] > square[r + 1, c]
        edges[r, c] = (upright or level) and square[r, c] > 4 * square.mean()
    return edges


def feature_mutual_information(fused, a, b):
    """Window by window, of the edges."""
    f, *sources = map(thin_edges, (fused, a, b))
    windows = [(slice(r, r + 3), slice(c, c + 3)) for r in range(f.shape[0] - 2) for c in range(f.shape[1] - 2)]
    return np.mean([window_information(source[window], f[window]) for window in windows for source in sources])


def mutual_information(fused, a, b):
    """Sum of p log2(p / (p q)) over the joint histogram that numpy makes, for both sources."""
    total = 0.0
    for source in (a, b):
        joint, _, _ = np.histogram2d(fused.ravel(), source.ravel(), bins=256, range=[[-0.5, 255.5]] * 2)
        joint = joint / joint.sum()
        independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        filled = joint > 0
        total += (joint[filled] * np.log2(joint[filled] / independent[filled])).sum()
    return total


def standard_deviation(fused, a, b):
    return fused.std()


def standard_deviation_8_bit(fused, a, b):
    difference = np.floor(fused - fused.mean() + 0.5).clip(0, 255).astype(np.uint8)
    square = np.minimum(difference.astype(np.int64) ** 2, 255).astype(np.uint8)
    return np.sqrt(square.mean())


def desired_patch_similarity(fused, sources):
    """MEF-SSIM of one 11 x 11 patch, from the patches themselves."""
    axis = np.arange(11) - 5
    window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    centred = [source - source.mean() for source in sources]
    lengths = [np.linalg.norm(patch) + 0.001 for patch in centred]
    agreement = np.linalg.norm(sum(centred)) / sum(np.linalg.norm(patch) for patch in centred)
    exponent = min(np.tan(np.pi / 2 * min(agreement, 1 - 1e-16)), 10)
    weights = np.array([(length / 11) ** exponent for length in lengths])
    weights /= weights.sum()
    desired = sum(w * patch / length for w, patch, length in zip(weights, centred, lengths, strict=True))
    desired *= max(lengths) / np.linalg.norm(desired)
    deviations = [patch - (window * patch).sum() for patch in (desired, fused)]
    variance_d, variance_f = ((window * d**2).sum() for d in deviations)
    covariance = (window * deviations[0] * deviations[1]).sum()
    constant = (0.03 * 255) ** 2
    return (2 * covariance + constant) / (variance_d + variance_f + constant)


def multi_exposure_ssim(fused, a, b):
    """Patch by patch."""
    corners = product(range(fused.shape[0] - 10), range(fused.shape[1] - 10))
    patches = [[image[r : r + 11, c : c + 11] for image in (fused, a, b)] for r, c in corners]
    return np.mean([desired_patch_similarity(patch, sources) for patch, *sources in patches])


def mean_source_ssim(fused, a, b):
    options = {"data_range": 255, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
    return np.mean([structural_similarity(fused, source, **options)[1][5:-5, 5:-5].mean() for source in (a, b)])


def _visual_information(source, fused, saturate):
    """Pixel-domain VIF with two-dimensional windows and scipy's correlation, branch by branch."""
    shared = own = 0.0
    for scale in range(1, 5):
        size = 2 ** (5 - scale) + 1
        axis = np.arange(size) - size // 2
        window = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * (size / 5) ** 2))
        window /= window.sum()

        def mean(image, window=window):
            return correlate2d(image, window, mode="valid")

        if scale > 1:
            source, fused = mean(source)[::2, ::2], mean(fused)[::2, ::2]
        products = [source * source, fused * fused, source * fused]
        if saturate and scale == 1:
            products = [np.minimum(product, 255) for product in products]
        mean_s, mean_f = mean(source), mean(fused)
        variance_s = np.maximum(mean(products[0]) - mean_s**2, 0)
        variance_f = np.maximum(mean(products[1]) - mean_f**2, 0)
        covariance = mean(products[2]) - mean_s * mean_f
        for s, f, c in zip(variance_s.ravel(), variance_f.ravel(), covariance.ravel(), strict=True):
            gain = c / (s + 1e-10)
            noise = f - gain * c
            if s < 1e-10:
                gain, noise, s = 0.0, f, 0.0
            if f < 1e-10:
                gain, noise = 0.0, 0.0
            if gain < 0:
                gain, noise = 0.0, f
            shared += np.log10(1 + gain**2 * s / (max(noise, 1e-10) + 2))
            own += np.log10(1 + s / 2)
    return shared / own


def visual_information_fidelity(fused, a, b):
    return _visual_information(a, fused, False) + _visual_information(b, fused, False)


def visual_information_fidelity_8_bit(fused, a, b):
    """The squares of the first scale saturate, as those of the published code."""
    return _visual_information(a, fused, True) + _visual_information(b, fused, True)
