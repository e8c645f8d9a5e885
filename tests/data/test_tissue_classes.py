"""Tissue classes from joint histograms, on pictures whose classes are known."""

import numpy as np
import pytest

from shared_networks.data.tissue_classes import TISSUE_CLASSES, fit_gaussian_mixture, pair_tissue_classes
from shared_networks.errors import InputError

AIR, FLUID, GREY, WHITE, BRIGHT, METABOLIC = range(6)


def _head(white: int) -> tuple[np.ndarray, np.ndarray]:
    """Concentric head, 128 x 128, white matter up to a radius: class map and distance from the centre."""
    rows, columns = np.mgrid[:128, :128] - 63.5
    radius = np.hypot(rows, columns)
    truth = np.full(radius.shape, AIR)
    for limit, tissue in ((58, BRIGHT), (50, GREY), (white, WHITE), (16, FLUID)):
        truth[radius < limit] = tissue
    return truth, radius


def _picture(truth: np.ndarray, levels: dict[int, float], seed: int) -> np.ndarray:
    picture = np.array([levels.get(tissue, 0.0) for tissue in range(6)])[truth]
    noise = np.random.default_rng(seed).normal(0, 0.02, truth.shape) * (picture > 0)
    return np.clip(picture + noise, 0, 1).astype(np.float32)[None]


T1 = {FLUID: 0.2, GREY: 0.5, WHITE: 0.7, BRIGHT: 0.9, METABOLIC: 0.5}
T2 = {FLUID: 0.9, GREY: 0.45, WHITE: 0.35, BRIGHT: 0.5, METABOLIC: 0.45}


def _agreement(labels: np.ndarray, truth: np.ndarray, tissue: int) -> float:
    return float((labels[truth == tissue] == tissue).mean())


@pytest.mark.parametrize("contrast", [T1, T2], ids=["T1", "T2"])
def test_ct_classes_do_not_depend_on_the_mri_contrast(contrast):
    truth, _ = _head(white=34)
    ct = _picture(truth, {FLUID: 0.3, GREY: 0.5, WHITE: 0.45, BRIGHT: 1.1}, seed=1)
    labels = pair_tissue_classes(_picture(truth, contrast, seed=0), ct, "CT")[0]
    assert labels.dtype == np.uint8
    for tissue in (AIR, FLUID, GREY, WHITE, BRIGHT):
        assert _agreement(labels, truth, tissue) > 0.95, TISSUE_CLASSES[tissue]
    assert not (labels == METABOLIC).any()


@pytest.mark.parametrize("modality", ["PET", "SPECT"])
@pytest.mark.parametrize("contrast", [T1, T2], ids=["T1", "T2"])
def test_functional_pictures_add_the_hyper_metabolic_class(contrast, modality):
    truth, radius = _head(white=28)
    right = np.arange(128)[None, :] >= 64
    truth[(radius >= 30) & (radius < 40) & right] = METABOLIC
    uptake = _picture(truth, {GREY: 0.6, WHITE: 0.4, METABOLIC: 0.95}, seed=1)
    labels = pair_tissue_classes(_picture(truth, contrast, seed=0), uptake, modality)[0]
    for tissue in range(6):
        assert _agreement(labels, truth, tissue) > 0.9, TISSUE_CLASSES[tissue]


def test_fat_that_a_brain_window_shows_black_is_bright():
    truth, radius = _head(white=34)
    ct = _picture(truth, {FLUID: 0.3, GREY: 0.5, WHITE: 0.45, BRIGHT: 1.1}, seed=1)
    scalp = (radius >= 58) & (radius < 62)
    mri = _picture(truth, T2, seed=0)
    mri[0, scalp] = 0.8
    assert (pair_tissue_classes(mri, ct, "CT")[0][scalp] == BRIGHT).all()


def test_same_pictures_give_the_same_classes():
    truth, _ = _head(white=34)
    mri, ct = _picture(truth, T2, 0), _picture(truth, {FLUID: 0.3, GREY: 0.5, WHITE: 0.45, BRIGHT: 1.1}, 1)
    assert np.array_equal(pair_tissue_classes(mri, ct, "CT"), pair_tissue_classes(mri, ct, "CT"))


@pytest.mark.parametrize("modality", ["CT", "PET", "SPECT"])
def test_empty_pictures_are_air(modality):
    empty = np.zeros((2, 16, 16), np.float32)
    assert (pair_tissue_classes(empty, empty, modality) == AIR).all()


def test_unknown_modality_and_unequal_shapes_are_refused():
    picture = np.zeros((1, 8, 8), np.float32)
    with pytest.raises(InputError, match="modality 'T2' has no class rule, expected CT, PET or SPECT"):
        pair_tissue_classes(picture, picture, "T2")
    with pytest.raises(InputError, match=r"shapes \(1, 8, 8\) and \(1, 8, 9\)"):
        pair_tissue_classes(picture, np.zeros((1, 8, 9), np.float32), "CT")


def test_mixture_finds_known_gaussians():
    generator = np.random.default_rng(0)
    means = np.array([[0.2, 0.6], [0.5, 0.2], [0.8, 0.7]])
    covariance = np.array([[0.003, 0.001], [0.001, 0.002]])
    counts = (2000, 4000, 1000)
    points = np.concatenate(
        [generator.multivariate_normal(mean, covariance, count) for mean, count in zip(means, counts, strict=True)]
    )
    mixture = fit_gaussian_mixture(generator.permutation(points), 3, floor=0.0)
    order = np.argsort(mixture.means[:, 0])
    np.testing.assert_allclose(mixture.means[order], means, atol=0.01)
    np.testing.assert_allclose(mixture.weights[order], np.array(counts) / 7000, atol=0.01)
    np.testing.assert_allclose(mixture.covariance, covariance, atol=3e-4)
    np.testing.assert_allclose(mixture.posterior(points).sum(axis=1), 1.0)
