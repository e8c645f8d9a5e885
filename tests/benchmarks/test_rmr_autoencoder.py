"""The figures of stage 1 by hand, and the command on a small folder."""

import json
import math

import nibabel as nib
import numpy as np
import pytest
import torch

from benchmarks import rmr_autoencoder
from shared_networks.nets import DegradationAutoencoder


def test_psnr_by_hand():
    target = torch.zeros(1, 2, 2, 2, 2)
    estimate = torch.full_like(target, 0.1)
    assert rmr_autoencoder.psnr(estimate, target) == pytest.approx(20)
    where = torch.zeros(2, 2, 2, dtype=torch.bool)
    where[0, 0, 0] = True
    estimate[..., 0, 0, 0] = 0.01
    assert rmr_autoencoder.psnr(estimate, target, where) == pytest.approx(40)


def test_feature_distance_does_not_depend_on_the_unit_and_passes_over_constant_channels():
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(2, 3, 4, 5, 6, generator=generator, dtype=torch.float64)
    degraded = clean + 0.5
    by_hand = np.mean([0.25 / np.var(clean[:, channel].numpy()) for channel in range(3)])
    assert rmr_autoencoder.feature_distance(degraded, clean) == pytest.approx(by_hand)
    scale = torch.tensor([1.0, 1e-3, 1e3]).view(3, 1, 1, 1)
    shift = torch.tensor([0.0, 7.0, -7.0]).view(3, 1, 1, 1)
    moved = [features * scale + shift for features in (degraded, clean)]
    assert rmr_autoencoder.feature_distance(*moved) == pytest.approx(by_hand)
    constant = torch.ones(2, 1, 4, 5, 6)
    with_constant = [torch.cat([features, constant], dim=1) for features in (degraded, clean)]
    assert rmr_autoencoder.feature_distance(*with_constant) == pytest.approx(by_hand)


def test_command_measures_the_validation_cases(tmp_path):
    values = np.random.default_rng(0).integers(200, 1000, (2, 15, 13, 6)).astype(np.int16)
    values[:, :3] = 0
    case = tmp_path / "data" / "validation" / "s1"
    case.mkdir(parents=True)
    for name, volume in zip(("t1", "flair"), values, strict=True):
        nib.save(nib.Nifti1Image(volume, np.eye(4)), case / f"{name}.nii.gz")
    torch.manual_seed(0)
    torch.save(DegradationAutoencoder().state_dict(), tmp_path / "autoencoder.pt")
    arguments = ["--dataset_dir", str(tmp_path / "data"), "--checkpoint", str(tmp_path / "autoencoder.pt")]
    result = rmr_autoencoder.main([*arguments, "--out", str(tmp_path / "out")])
    assert json.loads((tmp_path / "out" / "rmr_autoencoder.json").read_text()) == result
    (figures,) = result["cases"].values()
    # Noise of 0.04 alone gives 28 dB; blur and the broken window take more.
    assert 10 < figures["degraded_psnr"] < -20 * math.log10(0.04)
    assert figures["images"] > 0 and figures["features_trained"] > 0
    assert "reconstruction of clean" in (tmp_path / "out" / "rmr_autoencoder.md").read_text()
