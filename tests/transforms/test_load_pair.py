"""The loader: what it makes of good pairs in its three forms, and what it refuses."""

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import LoadImaged, SaveImaged
from PIL import Image

from shared_networks.errors import InputError
from shared_networks.io.colour import rgb_to_ycbcr
from shared_networks.transforms import LoadFusionPaird, normalise_volume
from shared_networks.transforms.load_sources import darken_to_mid_grey
from tests.affines import AFFINES


def load(*paths, **kwargs):
    value = list(paths) if len(paths) > 1 else paths[0]
    return LoadFusionPaird(**kwargs)({"case": "a", "image": value})


def test_percentiles_of_non_zero_voxels():
    values = np.concatenate([np.zeros(5000), np.arange(1, 1002)]).reshape(-1, 1, 1).astype(np.float32)
    scaled = normalise_volume(values).ravel()
    # 0.5 % and 99.5 % of 1..1001 are 6 and 996
    assert scaled[5005] == 0 and scaled[5995] == 1 and scaled[5500] == pytest.approx(0.5)
    assert scaled[:5000].max() == 0 and scaled[-1] == 1 and scaled.dtype == np.float32


def test_volumes_without_a_range():
    assert not normalise_volume(np.zeros((3, 3, 3))).any()
    assert not normalise_volume(np.full((3, 3, 3), 7.0)).any()
    mask = np.zeros((3, 3, 3), np.float32)
    mask[1] = 40
    assert np.array_equal(normalise_volume(mask), mask / 40)
    hounsfield = np.linspace(-1000, 3000, 4001, dtype=np.float32).reshape(-1, 1, 1)
    assert normalise_volume(hounsfield)[0] == 0 and normalise_volume(hounsfield)[-1] == 1


def test_large_volumes_are_thinned_without_a_shift():
    values = np.arange(1, 6_000_001, dtype=np.float32).reshape(200, 200, 150)
    scaled = normalise_volume(values)
    assert scaled.ravel()[3_000_000] == pytest.approx(0.5, abs=1e-4)


def test_grey_pictures(write_picture, noise):
    mri, ct = noise((5, 7)), noise((5, 7), 1)
    d = load(write_picture("m.png", mri), write_picture("c.png", ct))
    assert isinstance(d["image"], MetaTensor) and d["image"].dtype == torch.float32
    assert np.array_equal(d["image"].numpy(), np.stack([mri, ct]).astype(np.float32) / 255)
    assert torch.equal(d["chroma"], torch.full((2, 5, 7), 128.0))
    assert d["warning"] == "" and d["case"] == "a" and d["image"].meta["bit_depth"] == 8


def test_colour_picture_gives_luminance_and_its_chroma(write_picture, noise):
    pet = noise((5, 7, 3), 1)
    d = load(write_picture("m.png", noise((5, 7))), write_picture("p.png", pet))
    luminance, chroma = rgb_to_ycbcr(torch.from_numpy(pet).permute(2, 0, 1).float() / 255)
    assert torch.equal(d["image"][1:].as_tensor(), luminance)
    assert torch.equal(d["chroma"], chroma)


def test_deepest_source_gives_the_bit_depth(write_picture, noise):
    deep = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1900
    assert load(write_picture("m.png", noise((5, 7))), write_picture("c.png", deep))["image"].meta["bit_depth"] == 16


def test_volumes(write_volume):
    rng = np.random.default_rng(0)
    affine = AFFINES["sagittal"]
    mri, ct = (rng.normal(100, 20, (6, 7, 8)).astype(np.float32) for _ in range(2))
    d = load(write_volume("m.nii.gz", mri, affine), write_volume("c.nii.gz", ct, affine))
    assert d["image"].shape == (2, 6, 7, 8) and d["chroma"].shape == (2, 6, 7, 8)
    assert torch.equal(d["image"].affine, torch.from_numpy(affine))
    assert np.allclose(d["image"][0].numpy(), normalise_volume(mri))
    assert np.allclose(d["image"][1].numpy(), normalise_volume(ct))
    assert d["image"].meta["bit_depth"] == 0


def test_one_stacked_file(write_volume):
    voxels = np.random.default_rng(0).random((6, 7, 8, 2)).astype(np.float32)
    d = load(str(write_volume("both.nii.gz", voxels, np.diag([1, 2, 3, 1]))))
    assert np.allclose(d["image"][1].numpy(), normalise_volume(voxels[..., 1]))
    assert torch.equal(d["image"].affine, torch.diag(torch.tensor([1.0, 2, 3, 1], dtype=torch.float64)))


@pytest.mark.parametrize("ending", ["png", "nii.gz"])
def test_sibling_is_found_by_its_suffix(write_picture, write_volume, noise, ending):
    write, shape = (write_picture, (6, 7)) if ending == "png" else (write_volume, (6, 7, 8))
    mri, pet = write(f"p1_mri.{ending}", noise(shape)), write(f"p1_pet.{ending}", noise(shape, 1))
    both, listed = load(str(mri)), load(mri, pet)
    assert torch.equal(both["image"].as_tensor(), listed["image"].as_tensor())
    write(f"p1_ct.{ending}", noise(shape, 2))
    with pytest.raises(InputError, match="2 other sources beside it"):
        load(str(mri))
    own = load(str(mri), other_suffixes=["_ct"])
    assert torch.equal(own["image"][0].as_tensor(), listed["image"][0].as_tensor())
    assert not torch.equal(own["image"][1].as_tensor(), listed["image"][1].as_tensor())


def test_one_file_that_says_nothing_is_refused(write_volume, noise):
    with pytest.raises(InputError, match=r"neither a volume with two channels last nor named \*_mri\.nii\.gz"):
        load(str(write_volume("alone.nii.gz", noise((4, 5, 6)))))
    with pytest.raises(InputError, match="no other source beside it"):
        load(str(write_volume("alone_mri.nii.gz", noise((4, 5, 6)))))


def test_resample_moves_the_other_source(write_volume, noise):
    mri = write_volume("m.nii.gz", noise((8, 8, 8)))
    other = write_volume("c.nii.gz", noise((4, 4, 4), 1), np.diag([2.0, 2, 2, 1]))
    with pytest.raises(InputError, match="sizes differ"):
        load(mri, other)
    d = load(mri, other, resample=True)
    assert d["image"].shape == (2, 8, 8, 8)
    assert torch.equal(d["image"].affine, torch.eye(4, dtype=torch.float64))
    assert "resampled onto the grid of m.nii.gz" in d["warning"]


def test_items_that_are_refused():
    """Files, grids and contents that are: tests/robustness/bad_pictures.py."""
    for value in (["good.png"], 7):
        with pytest.raises(InputError, match="expected two files"):
            LoadFusionPaird()({"image": value})
    with pytest.raises(InputError, match=r"^no partner$"):
        LoadFusionPaird()({"image": ["a", ""], "refused": "no partner"})


def test_it_is_no_loadimaged():
    assert not isinstance(LoadFusionPaird(), LoadImaged)


@pytest.mark.parametrize("orientation", ["sagittal", "lps"])
def test_monais_own_saver_takes_a_one_channel_result(write_volume, noise, tmp_path, orientation):
    affine = AFFINES[orientation]
    mri, ct = (write_volume(f"{n}.nii.gz", noise((6, 1, 8), n), affine) for n in range(2))
    image = load(mri, ct)["image"]
    SaveImaged(keys="pred", output_dir=tmp_path / "out", separate_folder=False, print_log=False)({"pred": image[:1]})

    saved = nib.load(tmp_path / "out" / "0_trans.nii.gz")
    assert saved.shape == (6, 1, 8) and np.allclose(saved.affine, affine)


def test_a_bright_volume_is_darkened_to_mid_grey_and_a_dark_one_stays():
    values = np.linspace(0, 1, 1001, dtype=np.float32).reshape(7, 11, 13)
    bright = values**0.25
    darkened = darken_to_mid_grey(bright, 0.45)
    assert darkened.dtype == np.float32
    assert np.median(darkened[darkened > 0]) == pytest.approx(0.45, abs=1e-3)
    assert darkened.min() == 0 and darkened.max() == 1
    assert (np.diff(darkened.ravel()) > 0).all()
    dark = values**2
    assert darken_to_mid_grey(dark, 0.45) is dark
    for constant in (np.zeros((2, 2, 2), np.float32), np.ones((2, 2, 2), np.float32)):
        np.testing.assert_array_equal(darken_to_mid_grey(constant, 0.45), constant)
    with pytest.raises(ValueError, match=r"mid_grey must be at least 0.001 and below 1"):
        LoadFusionPaird("image", mid_grey=1.0)


def test_two_bright_grey_pictures_are_darkened_and_others_stay(tmp_path):
    rng = np.random.default_rng(0)
    bright, dark = (rng.integers(lowest, lowest + 80, (12, 14), np.uint8) for lowest in (150, 60))
    colour = np.stack([bright, bright, bright - 50], axis=-1)
    for name, values in (("bright", bright), ("second", bright[::-1]), ("dark", dark), ("colour", colour)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")

    def loaded(first: str, second: str, **item: str) -> dict:
        paths = [str(tmp_path / f"{name}.png") for name in (first, second)]
        return LoadFusionPaird("image", mid_grey=0.45)({"image": paths, **item})

    d = loaded("bright", "second")
    assert [float(np.median(source)) for source in d["image"].numpy()] == pytest.approx([0.45, 0.45], abs=0.01)
    assert "both pictures are bright" in d["warning"]
    for first, second, item in (
        ("bright", "dark", {}),
        ("dark", "bright", {}),
        ("bright", "colour", {}),
        ("bright", "second", {"modality": "pet"}),
    ):
        d = loaded(first, second, **item)
        assert "both pictures are bright" not in d["warning"]
        assert np.median(d["image"][0]) == pytest.approx(np.median(bright if first == "bright" else dark) / 255)


def test_t1_and_flair_leave_room_for_lesions(data_dir):
    """Half of the brain is brighter than 0.7 by percentiles alone, and the lesions hardly above it."""
    folder = data_dir / "brain" / "open_ms-07"
    lesions = nib.load(folder / "label.nii.gz").get_fdata() == 4
    white = nib.load(folder / "label.nii.gz").get_fdata() == 3
    gaps = {}
    for mid_grey in (None, 0.45):
        load = LoadFusionPaird("image", mid_grey=mid_grey)
        image = load({"image": [str(folder / "t1.nii.gz"), str(folder / "flair.nii.gz")]})["image"].numpy()
        brightest = image.max(axis=0)
        gaps[mid_grey] = np.median(brightest[lesions]) - np.median(brightest[white])
        assert (np.median(brightest[brightest > 0]) > 0.7) == (mid_grey is None)
    assert gaps[0.45] > gaps[None] + 0.05
