"""Slices that are far brighter or darker than the others: found, left out of the scale, and named."""

import numpy as np
import pytest

from shared_networks.data import resolve_cases
from shared_networks.io.odd_slices import OddSlices, odd_slices
from shared_networks.io.reading import read_source
from shared_networks.transforms import LoadFusionPaird, LoadModalitiesd, normalise_volume
from tests.io.test_background import ball, brain


def brightened(axis, numbers, factor=4.0):
    values = brain()
    np.moveaxis(values, axis, 0)[numbers] *= factor
    return values


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", ["first", "last", "middle", "two"])
def test_they_are_found_along_their_axis(axis, end):
    full = np.flatnonzero(ball().sum(axis=tuple(other for other in range(3) if other != axis)) >= 60)
    numbers = tuple({"first": full[:1], "last": full[-1:], "middle": full[9:10], "two": full[9:11]}[end].tolist())
    assert odd_slices(brightened(axis, list(numbers)), brain() != 0) == [OddSlices(axis, numbers, "brighter")]


@pytest.mark.parametrize("factor", [0.4, 0.0])
def test_dark_and_empty_ones_are_found_between_others(factor):
    values = brightened(1, [20, 21], factor)
    assert odd_slices(values, values != 0) == [OddSlices(1, (20, 21), "darker")]
    first = np.flatnonzero(ball().any(axis=(0, 2)))[0]
    values = brightened(1, [first, first + 1], factor)
    assert odd_slices(values, values != 0) == []  # contents may begin there


def test_both_kinds_are_found():
    values = brightened(2, [10], 3.0) * 1
    values[..., 22] *= 0.2
    assert odd_slices(values, values != 0) == [OddSlices(2, (10,), "brighter"), OddSlices(2, (22,), "darker")]


@pytest.mark.parametrize(
    "values",
    [
        brain(),
        brain() * np.linspace(0.3, 3, 36, dtype=np.float32),  # a coil at one end
        brain() - 650 * ball(),
        brightened(2, [17], 1.4),
        brightened(2, list(range(12, 24))),  # half of the slices
        brain()[:, :, 15:21],
    ],
)
def test_usual_volumes_have_none(values):
    assert odd_slices(values, values != 0) == []


def test_air_above_a_head_with_noise_is_not_dark():
    noise = np.abs(np.random.default_rng(0).normal(0, 20, brain().shape)).astype(np.float32) + 1
    values = np.where(ball(), brain(), noise)
    values = np.concatenate([values, noise[..., :4]], axis=2)
    assert odd_slices(values, values != 0) == []


def test_a_single_slice_and_a_stack_of_few_have_none():
    values = brightened(0, [20])
    assert odd_slices(values, values != 0) == [OddSlices(0, (20,), "brighter")]
    assert odd_slices(values[:, :, 17:18], values[:, :, 17:18] != 0) == []


def test_a_large_lesion_is_no_fault_of_its_slice():
    values = brain()
    place = np.flatnonzero(ball()[..., 18].any(axis=1))
    values[place[4:14], 14:26, 18] = 2.2 * np.percentile(values[..., 18][ball()[..., 18]], 95)
    assert (values[..., 18] > 1500).sum() > 0.05 * ball()[..., 18].sum()
    assert odd_slices(values, values != 0) == []


def test_real_brains_have_none(data_dir):
    names = ("open_ms-07", "mahdi_ms5-105465", "longitudinal-12s1")
    for case in (case for case in resolve_cases(dataset_dir=data_dir / "brain") if case["case"] in names):
        for path in case["image"]:
            values = read_source(path).values
            assert odd_slices(values, values != 0) == []


def test_the_others_are_scaled_as_without_the_fault(write_volume):
    """In the loader of either bundle; the bright slice is white."""
    clean = [write_volume(f"clean/{name}.nii.gz", brain(seed)) for seed, name in enumerate(("t1", "flair"))]
    spoiled = [write_volume("t1.nii.gz", brightened(2, [17])), clean[1]]
    others = np.arange(36) != 17
    for loader in (LoadModalitiesd(brain_checks=False), LoadFusionPaird()):
        first, second = (loader({"image": [str(path) for path in paths]}) for paths in (clean, spoiled))
        said = "t1.nii.gz: slices 17 (from 0) along z are far brighter than the others; left out of the scale of grey"
        assert first["warning"] == "" and second["warning"].startswith(said)
        shown = [item["image"][0].numpy() for item in (first, second)]
        assert np.abs(shown[0] - shown[1])[..., others].max() < 0.01
        assert np.median(shown[1][..., 17][ball()[..., 17]]) > 0.95
        assert np.array_equal(first["image"][1].numpy(), second["image"][1].numpy())
    without = normalise_volume(brightened(2, [17]))
    assert np.abs(without - shown[0])[..., others].max() > 0.3
