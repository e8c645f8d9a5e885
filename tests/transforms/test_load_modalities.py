"""The loader of T1 and FLAIR: what it makes of good cases in its three forms, and what it refuses."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Orientationd

from shared_networks.clinical import PreparePair, prepare_pair
from shared_networks.clinical.bias_field import correct_bias_field
from shared_networks.errors import InputError
from shared_networks.transforms import LoadModalitiesd
from tests.affines import AFFINES
from tests.robustness.file_maker import AXIAL, brain, turned

LPS = np.array([[-1, 0, 0, 50], [0, -1, 0, 60], [0, 0, 3, -20], [0, 0, 0, 1.0]])
SHAPE = (9, 10, 8)
voxels = partial(brain, shape=SHAPE)


@pytest.fixture
def pair(write_volume):
    """Function (affine, suffix) -> paths of T1 and FLAIR."""

    def write(affine=AXIAL, folder="p1"):
        return [
            str(write_volume(f"{folder}/{name}.nii.gz", voxels(seed), affine))
            for seed, name in enumerate(("t1", "flair"))
        ]

    return write


def load(image, label=None, **kwargs):
    return LoadModalitiesd(**kwargs)({"case": "a", "image": image} | ({"label": label} if label else {}))


def test_image_mask_and_affine(pair):
    d = load(pair(LPS))
    assert isinstance(d["image"], MetaTensor) and d["image"].dtype == torch.float32
    assert d["image"].shape == (2, *SHAPE) and d["brain"].shape == (1, *SHAPE) and d["brain"].dtype == torch.uint8
    assert torch.equal(d["image"].affine, torch.from_numpy(LPS)) and torch.equal(d["brain"].affine, d["image"].affine)
    assert np.array_equal(d["brain"][0].numpy(), voxels() > 0)
    assert d["warning"] == "" and d["case"] == "a"


def test_percentiles_are_taken_inside_the_foreground_of_each_modality(pair):
    image = load(pair())["image"].numpy()
    for channel, values in zip(image, (voxels(0), voxels(1)), strict=True):
        low, high = np.percentile(values[values > 0], [0.5, 99.5])
        expected = np.where(values > 0, (values - low) / (high - low), 0).clip(0, 1)
        assert np.allclose(channel, expected, atol=1e-6)
    narrow = load(pair(), lower=10, upper=90)["image"]
    assert (narrow == 1).float().mean() > (torch.from_numpy(image) == 1).float().mean()


def test_standardised_volumes_keep_their_background_at_zero(write_volume):
    centred = [voxels(seed).astype(np.float32) - 500 for seed in range(2)]
    image = load([str(write_volume(f"{n}.nii", v)) for n, v in zip(("t1", "flair"), centred, strict=True)])
    plain = load([str(write_volume(f"b/{n}.nii", v + 500)) for n, v in zip(("t1", "flair"), centred, strict=True)])
    assert torch.allclose(image["image"], plain["image"], atol=1e-5) and torch.equal(image["brain"], plain["brain"])


def test_background_is_zero_beside_negative_foreground(write_volume):
    # Standardised inside the brain only: 0 lies between the values.
    centred = [np.where(voxels(seed) > 0, voxels(seed) - 500.5, 0) for seed in range(2)]
    d = load([str(write_volume(f"{n}.nii", v)) for n, v in zip(("t1", "flair"), centred, strict=True)])
    outside = torch.from_numpy(voxels() == 0)
    assert not d["image"][:, outside].any() and not d["brain"][0, outside].any()
    plain = load([str(write_volume(f"b/{n}.nii", voxels(s))) for s, n in enumerate(("t1", "flair"))])
    assert torch.allclose(d["image"], plain["image"], atol=1e-5)


@pytest.mark.parametrize("affine", [AXIAL, AFFINES["sagittal"], LPS, turned(12), turned(12, LPS)])
def test_ras_and_back_is_the_input_grid(pair, affine):
    chain = Compose([LoadModalitiesd(), Orientationd(["image", "brain"], axcodes="RAS", labels=None)])
    d = chain({"case": "a", "image": pair(affine)})
    direction = d["image"].affine[:3, :3].numpy()
    assert (np.abs(direction).argmax(axis=0) == [0, 1, 2]).all() and (np.diag(direction) > 0).all()
    d["pred"] = MetaTensor(d["image"][:1].clone(), meta=dict(d["image"].meta))
    back = Invertd("pred", transform=chain, orig_keys="image", nearest_interp=False)(d)["pred"]
    assert torch.allclose(back.affine, torch.from_numpy(affine))
    assert torch.equal(back.as_tensor(), load(pair(affine))["image"][:1].as_tensor())


def test_stacked_volume_and_sibling_are_the_same_as_two_files(pair, write_volume):
    paths = pair()
    two = load(paths)["image"]
    stacked = write_volume("stacked.nii.gz", np.stack([voxels(0), voxels(1)], axis=-1), AXIAL)
    assert torch.equal(load(str(stacked))["image"], two)
    assert torch.equal(load(paths[0])["image"], two)
    write_volume("Sub-1_T1.nii", voxels(0), AXIAL)
    write_volume("Sub-1_FLAIR.nii.gz", voxels(1), AXIAL)
    first = write_volume("sub-2_T1.nii.gz", voxels(0), AXIAL).with_name("Sub-1_T1.nii")
    assert torch.equal(load(str(first))["image"], two)
    with pytest.raises(InputError, match="0 files named sub-2_flair beside it; expected exactly one"):
        load(str(first.with_name("sub-2_T1.nii.gz")))


@pytest.mark.parametrize("lost", [0, 1])
def test_one_modality_alone_when_allowed(pair, lost):
    paths, names = pair(LPS), ("t1", "flair")
    both = load(paths)
    alone = [path if index != lost else "" for index, path in enumerate(paths)]
    d = load(alone, allow_missing=True)
    assert torch.equal(d["image"][1 - lost].as_tensor(), both["image"][1 - lost].as_tensor())
    assert not d["image"][lost].any()
    assert torch.equal(d["image"].affine, both["image"].affine)
    assert torch.equal(d["brain"].as_tensor(), torch.from_numpy(voxels(1 - lost) > 0)[None])
    assert d["image"].meta["missing_modality"] == names[lost]
    assert d["image"].meta["filename_or_obj"] == paths[1 - lost]
    lesions = ["", "; lesions hardly show in it, so that few or none found says nothing"][lost]
    what = f"{names[lost]} is missing: fused volume and labels come from {names[1 - lost]} alone{lesions}"
    assert d["warning"].split("; t1")[0].split("; flair")[0] == what
    with pytest.raises(InputError):
        load(alone)


def test_a_single_modality_is_prepared_once_and_cannot_be_aligned(pair, write_volume, monkeypatch):
    t1, _ = pair()
    calls = []
    monkeypatch.setattr(
        prepare_pair, "correct_bias_field", lambda *given: calls.append(1) or correct_bias_field(*given)
    )
    prepared = load([t1, ""], allow_missing=True, prepare=PreparePair(bias_correction=True))
    done = json.loads(prepared["image"].meta["preparation"])
    assert set(done) == {"bias_field"} and [entry["file"] for entry in done["bias_field"]] == [t1] and calls == [1]
    mask = str(write_volume("mask.nii.gz", (voxels() > 500).astype(np.uint8), AXIAL))
    masked = load([t1, ""], allow_missing=True, prepare=PreparePair(brain_mask=mask))
    assert not masked["image"][0].numpy()[voxels() <= 500].any()
    with pytest.raises(InputError, match="align needs both volumes; give the other one"):
        load([t1, ""], allow_missing=True, prepare=PreparePair(align=True))


def test_labels(pair, write_volume):
    zones = (voxels() > 500).astype(np.uint8) + (voxels() > 800)
    label = str(write_volume("segm.nii.gz", zones, AXIAL))
    d = load(pair(), label)
    assert d["label"].dtype == torch.uint8 and np.array_equal(d["label"][0].numpy(), zones)
    assert d["label"].meta["label_filename"] == label
    tumour = np.zeros(SHAPE, np.uint8)
    tumour[4:6, 4:6, 4:6] = 1
    both = load(pair(), [label, str(write_volume("tumour.nii.gz", tumour, AXIAL))])["label"][0].numpy()
    assert np.array_equal(both, np.where(tumour, 3, zones))
    assert load(pair(), label, label_key="")["label"] == label
    unknown = np.where(np.arange(SHAPE[0])[:, None, None] == 0, np.nan, zones).astype(np.float32)
    cleared = load(pair(), str(write_volume("unknown.nii.gz", unknown, AXIAL)))
    assert np.array_equal(cleared["label"][0].numpy()[1:], zones[1:]) and not cleared["label"][0, 0].any()
    assert "unknown.nii.gz: " in cleared["warning"] and "NaN around the contents were set to 0" in cleared["warning"]
    assert torch.equal(d["image"], load(pair())["image"])


def test_second_modality_is_moved_when_asked(pair, write_volume):
    moved = AXIAL.copy()
    moved[2, 3] = 3.0  # one slice
    flair = str(write_volume("other/flair.nii.gz", voxels(1), moved))
    d = load([pair()[0], flair], resample=True)
    original = load(pair())["image"][1]
    assert torch.allclose(d["image"][1, :, :, 1:], original[:, :, :-1], atol=1e-5)
    assert "resampled onto the grid of t1.nii.gz" in d["warning"]


def test_resampling_puts_no_rim_around_a_stripped_volume(pair, write_volume):
    shift = AXIAL.copy()
    shift[:3, 3] = [0.3, -0.2, 0.9]
    box = np.zeros(SHAPE, np.int16)
    box[3:-3, 3:-3, 2:-2] = np.random.default_rng(2).integers(800, 900, (3, 4, 4))
    d = load([pair()[0], str(write_volume("other/flair.nii.gz", box, shift))], resample=True, lower=0, upper=100)
    # Shifted by less than half a voxel, the nearest voxels are those of the box.
    moved = d["image"][1].numpy() > 0
    assert not moved[box == 0].any()
    assert moved.sum() > 0.9 * (box > 0).sum()


def test_items_that_are_refused(pair, tmp_path):
    """Files, grids and contents that are: tests/robustness/bad_volumes.py."""
    t1, flair = pair()
    for image, message in (
        (str(tmp_path / "none_t1.nii.gz"), "file not found"),
        ([t1], "expected two files, t1 and flair"),
        (flair, "neither a volume with two channels last nor named"),
    ):
        with pytest.raises(InputError, match=message):
            load(image)
    with pytest.raises(InputError, match="known before"):
        LoadModalitiesd()({"image": [t1, flair], "refused": "known before"})


def test_warnings_about_brains_can_be_switched_off(write_volume):
    filled = [np.random.default_rng(s).integers(1, 100, SHAPE).astype(np.int16) for s in range(2)]
    full = [str(write_volume(f"full/{n}.nii", v, AXIAL)) for n, v in zip(("t1", "flair"), filled, strict=True)]
    assert "is the skull stripped" in load(full)["warning"]
    assert load(full, brain_checks=False)["warning"] == ""


def test_real_subjects(data_dir):
    from shared_networks.data import resolve_cases

    cases = {case["case"]: case for case in resolve_cases(dataset_dir=data_dir / "brain")}
    d = load(cases["open_ms-07"]["image"], cases["open_ms-07"]["label"])
    assert d["image"].shape == (2, 141, 174, 140)
    assert d["brain"].sum().item() / 1000 == pytest.approx(1082, abs=1)  # ml, as the data's table says
    assert (d["label"] == 4).sum().item() / 1000 == pytest.approx(1.3, abs=0.05)
    prostate = resolve_cases(dataset_dir=data_dir / "prostate", section="training", modalities=("t2", "adc"))[0]
    d = load(prostate["image"], prostate["label"], modalities=("t2", "adc"), brain_checks=False)
    assert d["image"].shape == (2, 384, 384, 19) and d["warning"] == ""
    assert (d["label"] == 3).sum().item() * 0.75e-3 == pytest.approx(0.31, abs=0.005)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"lower": -1}, "percentiles must be at least 0 and at most 100, got -1."),
        ({"upper": "max"}, "percentiles must be a number, got 'max'."),
        ({"lower": 99.5}, "percentiles must rise, got [99.5, 99.5]."),
        ({"modalities": ["t1"]}, "modalities must be two names, got ['t1']."),
        ({"modalities": [1, 2]}, "modalities must be two names, got [1, 2]."),
        ({"expected_ranges": {"spacing": 3}}, "expected_ranges spacing must be a list of 2 numbers, got 3."),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_any_case(keys, said):
    with pytest.raises(InputError) as refusal:
        LoadModalitiesd(**keys)
    assert str(refusal.value) == said
