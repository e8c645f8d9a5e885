"""Lesions of other cases that are pasted into white matter."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from shared_networks.transforms import RandPasteLesionsd

DONOR_WM, DONOR_LESION, WM, CSF = 0.5, 0.7, 0.6, 0.1
LESION_BOX = (slice(8, 14), slice(10, 16), slice(8, 14))


def _case(
    white_matter: float, lesion: float | None = None, spacing: tuple = (1.0, 1.0, 1.0), shape=(24, 26, 22)
) -> dict:
    """White matter with a layer of CSF at the first rows, and one cube of lesion of 216 mm3."""
    label = np.full(shape, 3, np.float32)
    label[:3] = 1
    image = np.where(label == 1, CSF, white_matter).astype(np.float32)
    if lesion is not None:
        label[LESION_BOX], image[LESION_BOX] = 4, lesion
    affine = torch.diag(torch.tensor([*spacing, 1.0]))
    return {
        "image": MetaTensor(np.stack([image, 1 - image]), affine=affine),
        "label": MetaTensor(label[None], affine=affine),
        "brain": MetaTensor(np.ones((1, *shape), np.float32), affine=affine),
    }


def _pasted(data: dict, donor: dict, seed: int = 0, **options) -> dict:
    options = {"prob": 1.0, "moved": 0.0, "lower": 0.0, "upper": 100.0} | options
    return RandPasteLesionsd([donor], **options).set_random_state(seed)(data)


def _volumes(data: dict, donor: dict, seeds: range = range(40), **options) -> np.ndarray:
    """Pasted lesion in mm3 for each seed."""
    voxel = float(torch.prod(torch.diag(data["image"].affine)[:3]))
    return np.array([float((_pasted(data, donor, seed, **options)["label"] == 4).sum()) * voxel for seed in seeds])


def test_value_is_the_difference_from_white_matter_times_the_ratio_of_contrasts():
    result = _pasted(_case(WM), _case(DONOR_WM, DONOR_LESION))
    lesion = result["label"][0].numpy() == 4
    core = np.zeros_like(lesion)
    core[10:12, 12:14, 10:12] = True
    assert lesion[core].all()
    # Contrasts of WM and CSF: 0.5 here, 0.4 in the donor. The brightest voxel becomes 1, CSF stays the darkest.
    value = WM + (DONOR_LESION - DONOR_WM) * 0.5 / 0.4
    first, second = result["image"].numpy()
    np.testing.assert_allclose(first[core], 1.0, atol=1e-5)
    np.testing.assert_allclose(first[20:], (WM - CSF) / (value - CSF), atol=1e-5)
    # The second image is the negative of the first: CSF is its brightest, lesions are its darkest voxels.
    np.testing.assert_allclose(second[core], 0.0, atol=1e-5)
    np.testing.assert_allclose(second[20:], (value - WM) / (value - CSF), atol=1e-5)


def test_grown_has_the_volume_of_the_lesion_and_shrunk_less():
    volumes = _volumes(_case(WM), _case(DONOR_WM, DONOR_LESION))
    # The deepest voxel is 3 mm inside: levels lie in -1.5..0 half of the time, and one voxel goes all around below -1.
    assert set(volumes) == {64.0, 216.0}
    assert (volumes == 64).mean() == pytest.approx(1 / 6, abs=0.15)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (1.0, 1.0, 3.0), (2.0, 2.0, 2.0)])
def test_volume_in_mm3_on_another_grid(spacing):
    shape = tuple(int(size / step) for size, step in zip((24, 26, 24), spacing, strict=True))
    grown = _volumes(_case(WM, spacing=spacing, shape=shape), _case(DONOR_WM, DONOR_LESION), range(12)).max()
    # Voxels of which more than half is lesion; the edge of a cube of 6 mm lies half a voxel here or there.
    outer = np.prod([6 + step for step in spacing])
    inner = np.prod([6 - step for step in spacing])
    assert inner <= grown <= outer


def test_thick_slices_mix_lesion_and_white_matter():
    result = _pasted(_case(WM, spacing=(1, 1, 9), shape=(24, 26, 3)), _case(DONOR_WM, DONOR_LESION), most=1)
    image = _pasted(_case(WM), _case(DONOR_WM, DONOR_LESION), most=1)["image"]
    whole = (float(image[0, 11, 13, 11]) - float(image[0, 20, 13, 11])) / float(image[0, 20, 13, 11])
    thick = result["image"][0].numpy()
    part = (thick[11:13, 12:14, 1].mean() - thick[20, 13, 1]) / thick[20, 13, 1]
    assert 0.5 * whole < part < 0.8 * whole


def test_only_white_matter_and_lesions_are_overwritten():
    data = _case(WM)
    data["label"][0, 11:, 13:] = 2
    result = _pasted(data, _case(DONOR_WM, DONOR_LESION))
    assert (result["label"] == 4).any()
    torch.testing.assert_close(result["label"][0, 11:, 13:], data["label"][0, 11:, 13:])
    assert float(result["image"][0, 11:, 13:].std()) == pytest.approx(0, abs=1e-6)


def test_lesion_goes_to_the_nearest_white_matter():
    data = _case(WM)
    data["label"][0, :18] = 2
    result = _pasted(data, _case(DONOR_WM, DONOR_LESION))
    found = np.argwhere(result["label"][0].numpy() == 4)
    assert found[:, 0].min() == 18
    assert abs(found[:, 1].mean() - 12.5) <= 1 and abs(found[:, 2].mean() - 10.5) <= 1


def test_same_state_same_lesions_and_other_state_other_places():
    data, donor = _case(WM), _case(DONOR_WM, DONOR_LESION)
    first, again, other = (_pasted(data, donor, seed, moved=5.0) for seed in (1, 1, 2))
    torch.testing.assert_close(first["image"], again["image"])
    assert not torch.equal(first["label"], other["label"])
    assert (data["label"] == 4).sum() == 0


@pytest.mark.parametrize(
    ("data", "donor", "prob"),
    [
        (_case(WM), _case(DONOR_WM, DONOR_LESION), 0.0),
        (_case(WM), _case(DONOR_WM), 1.0),
        (
            _case(WM) | {"label": MetaTensor(np.full((1, 24, 26, 22), 2, np.float32))},
            _case(DONOR_WM, DONOR_LESION),
            1.0,
        ),
    ],
    ids=["prob 0", "no lesion in the donor", "no white matter"],
)
def test_unchanged(data, donor, prob):
    result = _pasted(data, donor, prob=prob)
    assert result["image"] is data["image"] and result["label"] is data["label"]
