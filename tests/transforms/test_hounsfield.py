"""CT in Hounsfield units: what is recognised, what the window does, what is said."""

import logging
from pathlib import Path

import numpy as np
import pytest
from monai.bundle import ConfigParser

from shared_networks.errors import InputError
from shared_networks.io.source import Source
from shared_networks.transforms import LoadFusionPaird
from shared_networks.transforms.hounsfield import CtWindow, looks_like_hu
from tests.io.test_background import ball

SHAPE = (48, 48, 8)


def head(air=-1000.0, padding=None, bone=1200.0):
    """A head in HU: brain with grey matter 38, white matter 28, a bleeding of 70, skull, and air around."""
    random = np.random.default_rng(0)
    skull, brain = ball(22, SHAPE), ball(19, SHAPE)
    values = np.full(SHAPE, air) + random.normal(0, 5, SHAPE)
    values[skull] = bone
    values[brain] = (28 + 10 * (random.random(SHAPE) > 0.5) + random.normal(0, 3, SHAPE))[brain]
    values[22:26, 22:26, 3:5] = 70
    if padding is not None:
        values[~ball(24, SHAPE)] = padding
    return np.round(values)


def mri():
    return np.where(ball(19, SHAPE), np.random.default_rng(1).uniform(200, 900, SHAPE), 0)


def source(values, **facts):
    return Source(Path("ct.nii.gz"), values.astype(np.float32), affine=np.eye(4), **facts)


HU = {
    "head": head(),
    "air at -1024": head(-1024),
    "padding -2000": head(padding=-2000),
    "padding -3024": head(padding=-3024),
    "padding -32768": head(padding=-32768),
    "metal": np.where(ball(2, SHAPE), 30000, head()),
    "brain and bone only": np.where(ball(22, SHAPE), head(), head()[24, 10, 4]),
    "brain in air": np.where(ball(19, SHAPE), head(), -1000).clip(None, 80),
    "brain in padding": np.where(ball(19, SHAPE), head(), -1024).clip(None, 80),
    "stripped": np.where(ball(19, SHAPE), head(), 0) + np.where(ball(20, SHAPE) & ~ball(19, SHAPE), 900, 0),
}
NOT_HU = {
    "T1": mri(),
    "standardised in padding": np.where(ball(19, SHAPE), np.random.default_rng(1).normal(0, 1, SHAPE), -1000),
    "standardised": np.where(ball(19, SHAPE), np.random.default_rng(1).normal(0, 1, SHAPE), 0),
    "PET": np.random.default_rng(2).gamma(0.6, 200, SHAPE),
    "PET, low counts": np.random.default_rng(2).exponential(30, SHAPE) * np.where(ball(5, SHAPE), 20, 1),
    "SUV": np.random.default_rng(2).gamma(2, 2, SHAPE),
    "wrapped": np.random.default_rng(2).integers(-32768, 32767, SHAPE),
    "signed": np.random.default_rng(2).normal(0, 800, SHAPE),
    "8 bit": np.random.default_rng(2).integers(0, 256, SHAPE),
    "labels": np.random.default_rng(2).integers(0, 5, SHAPE) * 25,
    "constant": np.full(SHAPE, -1000.0),
}


@pytest.mark.parametrize("name", HU)
def test_hounsfield_units_are_recognised(name):
    assert looks_like_hu(HU[name])


@pytest.mark.parametrize("name", NOT_HU)
def test_other_values_are_not_taken_for_them(name):
    assert not looks_like_hu(NOT_HU[name])


@pytest.mark.parametrize("name", HU)
def test_the_head_window_is_0_to_80(name):
    given = source(HU[name])
    assert CtWindow()(given) and given.normalised
    assert np.allclose(given.values, np.clip(np.maximum(HU[name], -1000) / 80, 0, 1), atol=1e-6)
    assert given.warnings[-1] == "ct.nii.gz: shown with the default window of 0 to 80 HU"
    padded = int((HU[name] < -1024).sum())
    assert bool(padded) == ("voxels of padding were set to -1000 HU" in given.warnings[0])


def test_the_brain_has_contrast_and_a_bleeding_is_brighter():
    """By percentiles, 10 HU between grey and white matter are less than .01 of the range."""
    loaded = {}
    for window in ("auto", "Off"):
        given = source(head())
        if not CtWindow(window)(given):
            low, high = np.percentile(given.values, [0.5, 99.5])
            given.values = ((given.values - low) / (high - low)).clip(0, 1)
            assert "looks like CT in Hounsfield units and was scaled by percentiles" in given.warnings[0]
        loaded[window] = given.values
    white, grey = (loaded["auto"][np.abs(head() - value) < 1].mean() for value in (28, 38))
    assert grey - white == pytest.approx(10 / 80, abs=0.01)
    assert loaded["auto"][24, 24, 4] == pytest.approx(70 / 80) and grey < 0.6
    white, grey = (loaded["Off"][np.abs(head() - value) < 1].mean() for value in (28, 38))
    assert grey - white < 0.01


def test_a_given_window():
    given = source(head())
    assert CtWindow([300, 1500])(given)
    assert np.allclose(given.values, ((head() + 450) / 1500).clip(0, 1), atol=1e-6)
    assert "shown with the given window of -450 to 1050 HU" in given.warnings[-1]
    other = source(NOT_HU["T1"])
    assert CtWindow([40, 80])(other) and "does not look like Hounsfield units" in other.warnings[0]
    for facts, modality in (({"modality": "PT"}, ""), ({}, "SPECT")):
        assert not CtWindow([40, 80])(source(NOT_HU["PET"], **facts), modality)


@pytest.mark.parametrize(("facts", "modality", "said"), [({"modality": "PT"}, "", "PT"), ({}, "pet", "PET")])
def test_ct_that_is_said_to_be_something_else_is_named(facts, modality, said):
    given, plain = source(head(), **facts), source(NOT_HU["PET"], **facts)
    assert not CtWindow()(given, modality) and np.array_equal(given.values, head())
    assert f"looks like CT in Hounsfield units, but is said to be {said}" in given.warnings[0]
    quiet = source(head(), **facts)
    for window, one in ((CtWindow(), plain), (CtWindow("off"), quiet)):
        assert not window(one, modality) and one.warnings == []


def test_the_window_of_the_file():
    given = source(head(), modality="CT", window=(-20.0, 100.0))
    assert CtWindow("dicom")(given) and np.allclose(given.values, ((head() + 20) / 120).clip(0, 1), atol=1e-6)
    assert "shown with the file's own window of -20 to 100 HU" in given.warnings[-1]
    with pytest.raises(InputError, match=r"ct.nii.gz: no window is stored in it; set ct_window to auto"):
        CtWindow("dicom")(source(head()))
    assert not CtWindow("dicom")(source(NOT_HU["PET"]))


def test_what_is_ct_by_its_header_has_a_window_whatever_it_holds():
    given = source(np.random.default_rng(0).uniform(-80, 90, SHAPE), modality="CT")
    assert not looks_like_hu(given.values) and CtWindow()(given)


@pytest.mark.parametrize("window", [[40, 80], "40,80", "[40, 80]", "(40.0,80)"])
def test_a_window_as_it_is_typed(window):
    assert CtWindow(window).bounds == (0.0, 80.0)


@pytest.mark.parametrize("window", ["head", [40], [40, 0], [40, "x"], [40, -80], None, 40])
def test_other_windows_are_refused(window):
    with pytest.raises(InputError, match="expected auto, dicom, off, or centre and width in HU"):
        CtWindow(window)


def test_the_loader_windows_ct_and_nothing_else(write_volume, caplog):
    caplog.set_level(logging.WARNING)
    paths = [
        str(write_volume("mri.nii.gz", mri().astype(np.int16))),
        str(write_volume("ct.nii.gz", head().astype(np.int16))),
    ]
    loaded = LoadFusionPaird()({"image": paths})
    assert np.allclose(loaded["image"][1].numpy(), (head() / 80).clip(0, 1), atol=1e-6)
    assert "ct.nii.gz: shown with the default window of 0 to 80 HU" in loaded["warning"]
    swapped = LoadFusionPaird()({"image": paths[::-1]})
    assert "the MRI looks like CT in Hounsfield units; are the two swapped?" in swapped["warning"]
    off = LoadFusionPaird(ct_window="off")({"image": paths})
    assert not np.allclose(off["image"][1], loaded["image"][1])
    assert np.array_equal(off["image"][0], loaded["image"][0])


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (["inference.json"], "preprocessing#transforms#0"),
        (["train.json"], "train#deterministic_transforms#0"),
        (["train.json"], "validate#preprocessing#transforms#0"),
        (["train.json", "evaluate.json"], "validate#preprocessing#transforms#0"),
    ],
)
def test_inference_evaluation_and_training_take_the_key(gesenet_bundle, files, place):
    parser = ConfigParser()
    parser.read_config([str(gesenet_bundle / "configs" / name) for name in files])
    parser["bundle_root"] = str(gesenet_bundle)
    assert parser.get_parsed_content(place).ct_window.kind == "auto"
    parser.update({"ct_window": [30, 60]})
    assert parser.get_parsed_content(place).ct_window.bounds == (0.0, 60.0)


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
def test_hounsfield_units_and_1024(kind):
    ct = source((head() + 1024).clip(0, None).astype(kind))
    assert CtWindow()(ct)
    assert np.allclose(ct.values, (head() / 80).clip(0, 1), atol=1e-6)
    assert ct.warnings[0] == "ct.nii.gz: looks like Hounsfield units and 1024, which were taken off"
    off = source(head() + 1024)
    assert not CtWindow("off")(off) and np.array_equal(off.values, head() + 1024)


@pytest.mark.parametrize("scale", [1.0, 1.3, 1.7, 2.5, 4.0])
def test_mri_is_not_hounsfield_units_and_1024(scale):
    given = source(mri() * scale)
    assert not CtWindow()(given) and given.warnings == [] and np.array_equal(given.values, np.float32(mri() * scale))


def test_what_is_called_ct_and_is_not_in_hounsfield_units_is_told():
    given = source((head() + 1000) / 4000)
    assert not CtWindow()(given, "ct")
    (said,) = given.warnings
    assert said.endswith("does not look like Hounsfield units; scaled by percentiles")
