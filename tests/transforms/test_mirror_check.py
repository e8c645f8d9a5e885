"""Whether T1 and FLAIR lie mirrored against each other."""

from itertools import chain, combinations
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from shared_networks.transforms import LoadModalitiesd
from shared_networks.transforms.load_sources import normalise_volume
from shared_networks.transforms.mirror_check import mirror_remarks

SAMPLE = Path(__file__).parents[2] / "rmr_fusion_bundle" / "sample_data"
AXES = list(chain.from_iterable(combinations(range(3), count) for count in (1, 2, 3)))
NAMES = ["t1.nii.gz", "flair.nii.gz"]


@pytest.fixture(scope="module")
def sample():
    images = [nib.load(SAMPLE / name) for name in NAMES]
    return [normalise_volume(np.asarray(image.dataobj, np.float32)) for image in images], images[0].affine


@pytest.mark.parametrize("axes", AXES)
def test_each_mirror_of_the_sample_is_told(sample, axes):
    """Also moved, and with the images in the other order."""
    (t1, flair), affine = sample
    assert nib.aff2axcodes(affine) == ("L", "A", "S")
    words = ", ".join(("left and right", "front and back", "top and bottom")[axis] for axis in axes)
    expected = [
        f"t1.nii.gz and flair.nii.gz look mirrored against each other ({words}); check the orientation in their headers"
    ]
    assert mirror_remarks([np.flip(t1, axes), flair], affine, NAMES) == expected
    assert mirror_remarks([t1, np.flip(flair, axes)], affine, NAMES) == expected
    moved = [np.pad(np.flip(t1, axes), [(9, 0)] * 3), np.pad(flair, [(0, 9)] * 3)]
    assert mirror_remarks(moved, affine, NAMES) == expected


def test_directions_are_those_of_the_body(sample):
    (t1, flair), affine = sample
    turned = [np.moveaxis(image, 2, 0) for image in (t1[:, :, ::-1], flair)]
    assert "(top and bottom)" in mirror_remarks(turned, affine[:, [2, 0, 1, 3]], NAMES)[0]


def test_what_lies_right_is_left_alone(sample):
    (t1, flair), affine = sample
    assert mirror_remarks([t1, flair], affine, NAMES) == []
    assert mirror_remarks([t1, np.roll(flair, 6, 0)], affine, NAMES) == []  # not registered, which is no mirror
    noise = np.random.default_rng(0)
    assert mirror_remarks([(image > 0) * noise.random(image.shape) for image in (t1, flair)], affine, NAMES) == []
    ball = (np.indices((20, 20, 20)) - 9.5).__pow__(2).sum(0) < 64
    assert mirror_remarks([ball * 0.5, ball * 0.7], np.eye(4), NAMES) == []
    assert mirror_remarks([t1 * 0, flair], affine, NAMES) == []


def test_the_loader_says_so(tmp_path, sample):
    _, affine = sample
    paths = [str(SAMPLE / name) for name in NAMES]
    assert "mirrored" not in LoadModalitiesd()({"image": paths})["warning"]
    values = np.asarray(nib.load(paths[0]).dataobj)
    nib.save(nib.Nifti1Image(values[::-1], affine), tmp_path / NAMES[0])
    mirrored = {"image": [str(tmp_path / NAMES[0]), paths[1]]}
    assert "look mirrored against each other (left and right)" in LoadModalitiesd()(mirrored)["warning"]
    assert "mirrored" not in LoadModalitiesd(brain_checks=False)(mirrored)["warning"]


@pytest.mark.full
def test_real_brains(data_dir):
    for path in sorted((data_dir / "brain").glob("*/t1.nii.gz")):
        t1, flair = (np.asarray(nib.load(path.with_name(name)).dataobj, np.float32) for name in NAMES)
        t1, flair = normalise_volume(t1), normalise_volume(flair)
        assert mirror_remarks([t1, flair], np.eye(4), NAMES) == []
        for axis in range(3):
            assert mirror_remarks([np.flip(t1, axis), flair], np.eye(4), NAMES) != []
