"""Heads with skull: registration, bias field and brain masks, against the references that lie beside the images."""

import json

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import apply_affine

from shared_networks.clinical import PreparePair, trained_brain_mask
from shared_networks.errors import InputError
from shared_networks.io.reading import read_source
from shared_networks.io.regular_grid import moved_onto
from shared_networks.io.source import Source
from shared_networks.transforms import LoadModalitiesd
from shared_networks.utils.optional_packages import missing_packages

HAS_DEEPBET = not missing_packages({name: name for name in ("deepbet", "cc3d", "fill_voids", "pandas")})
needs_deepbet = pytest.mark.skipif(not HAS_DEEPBET, reason="deepbet is not installed")


def dice(first, second):
    return 2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second))


@pytest.fixture(scope="module")
def heads(data_dir):
    folder = data_dir / "heads"
    if not (folder / "heads.json").is_file():
        pytest.skip(f"{folder} is not there")
    return folder


def test_deepbet_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setattr("shared_networks.utils.optional_packages.find_spec", lambda name: None)
    volume = Source("t1.nii.gz", np.arange(1000.0, dtype=np.float32).reshape(10, 10, 10), affine=np.eye(4))
    slow = "shared_networks.clinical.prepare_pair.correct_bias_field"
    monkeypatch.setattr(slow, lambda *arguments: pytest.fail("N4 ran before the packages were looked for"))
    with pytest.raises(InputError, match=r"t1.nii.gz: brain_mask deepbet needs deepbet and .*: pip install --no-deps"):
        PreparePair(brain_mask="deepbet", bias_correction=True)(volume, None)


@needs_deepbet
def test_deepbet_that_finds_nothing_is_one_line(monkeypatch):
    class Model:
        def run(self, image):
            raise AssertionError("Not enough foreground to calculate bounding box")

    monkeypatch.setattr(trained_brain_mask, "_model", Model)
    volume = Source("t1.nii.gz", np.arange(1000.0, dtype=np.float32).reshape(10, 10, 10), affine=np.eye(4))
    with pytest.raises(InputError, match=r"t1.nii.gz: deepbet finds no brain; give a mask made by another tool"):
        PreparePair(brain_mask="deepbet")(volume, None)


@pytest.mark.full
@needs_deepbet
@pytest.mark.parametrize(("head", "moved_mm"), [("longitudinal-03s2", 5.5), ("tcga-fg-6692", 17.6)])
def test_a_head_with_skull_is_prepared(heads, head, moved_mm):
    """T1 and FLAIR on different grids: registered to about a millimetre, and masked as the references say."""
    facts = json.loads((heads / "heads.json").read_text(encoding="utf-8"))["heads"][head]
    matrix = next(np.array(value) for key, value in facts.items() if key.endswith("flair_to_t1_world_ras"))
    paths = [str(heads / head / f"{name}.nii.gz") for name in ("t1", "flair")]
    loaded = LoadModalitiesd(prepare=PreparePair(align=True, brain_mask="deepbet"))({"image": paths})
    brain = loaded["brain"][0].numpy().astype(bool)
    done = json.loads(loaded["image"].meta["preparation"])
    reference = next((heads / head).glob("brainmask_deepbet*"), None) or heads / head / "brainmask_hdbet_on_t1.nii.gz"
    mask = nib.load(reference)
    affine = loaded["image"].affine.numpy()
    placed = Source(reference, np.asarray(mask.dataobj).astype(np.float32), affine=np.array(mask.affine))
    if "on_flair" in reference.name:
        placed.affine = matrix @ placed.affine
    expected = moved_onto(placed, affine, brain.shape).values > 0.5
    assert dice(brain, expected) > 0.95
    points = apply_affine(affine, np.argwhere(expected)[::499])
    found = apply_affine(np.array(done["registration"]["first_to_second"]), points)
    truth = apply_affine(np.linalg.inv(matrix), points)
    assert np.linalg.norm(truth - points, axis=1).mean() == pytest.approx(moved_mm, abs=0.5)
    assert np.linalg.norm(found - truth, axis=1).mean() < 1.5


@pytest.mark.full
@needs_deepbet
def test_two_dicom_folders_of_a_head(data_dir):
    """As a scanner gives it: both series with skull, N4, registration and mask in one go."""
    folder = data_dir / "dicom" / "brainix"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    prepare = PreparePair(align=True, bias_correction=True, brain_mask="deepbet")
    loaded = LoadModalitiesd(prepare=prepare)({"image": [str(folder / "t1"), str(folder / "flair")]})
    t1 = read_source(folder / "t1")
    assert loaded["image"].shape == (2, *t1.values.shape)
    assert np.allclose(loaded["image"].affine, t1.affine, atol=1e-3)
    volume = loaded["brain"].sum().item() * abs(np.linalg.det(t1.affine[:3, :3])) / 1000
    assert 1000 < volume < 1800
    done = json.loads(loaded["image"].meta["preparation"])
    assert list(done) == ["bias_field", "registration", "brain_mask"]
    # One frame of reference, one session: hardly any movement.
    assert done["registration"]["angle_degrees"] < 2 and np.abs(done["registration"]["translation_mm"]).max() < 3
    assert "is the skull stripped" not in loaded["warning"] and "swapped" not in loaded["warning"]
