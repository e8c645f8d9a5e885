"""inference.json from end to end, in process; bad pairs are in tests/robustness/test_bad_batches.py."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks.convert import convert_gesenet_checkpoint
from shared_networks.data import resolve_pairs
from shared_networks.io.colour import rgb_to_ycbcr
from shared_networks.transforms import LoadFusionPaird, normalise_volume
from shared_networks.transforms.load_sources import darken_to_mid_grey
from tests.bundles.bundle_runs import RUN_FILES, as_monai_label, run_workflow


@pytest.fixture
def fuse(gesenet_bundle, random_checkpoint, tmp_path):
    """Function (overrides) -> output folder, after initialize, run and finalize."""

    def run(**override):
        keys = {"output_dir": tmp_path / "out", "checkpoint": random_checkpoint, "device": "cpu"} | override
        run_workflow(gesenet_bundle, ["inference"], "infer", **keys)
        return tmp_path / "out"

    return run


def test_grey_pair_is_what_the_network_gives(fuse, write_picture, noise, random_network):
    mri, ct = noise((33, 47)), noise((33, 47), 1)
    out = fuse(mri=write_picture("m/7.png", mri), other=write_picture("o/9.png", ct))
    with torch.no_grad():
        expected = random_network(torch.from_numpy(np.stack([mri, ct]))[None].float() / 255)[0, 0] * 255
    saved = np.asarray(Image.open(out / "7" / "7_fused.png"))
    assert np.abs(saved - expected.numpy()).max() <= 0.51
    assert Image.open(out / "7" / "7_comparison.png").size[0] == 4 * 47 * 5 + 3 * 4


def test_a_shifted_picture_is_moved_with_a_warning_unless_that_is_off(fuse, write_picture, shifted_pair):
    mri, ct, shifted = shifted_pair
    paths = {"mri": write_picture("m/7.png", mri), "other": write_picture("o/ct.png", shifted)}
    out = fuse(**paths)
    report = json.loads((out / "7" / "7_report.json").read_text())
    assert report["warnings"] == "ct.png: moved by 0 rows and -4 columns onto the MRI (align_pictures)"
    assert json.loads((out / "run_report.json").read_text())["counts"]["warned"] == 1
    fused, shown = (np.asarray(Image.open(out / "7" / f"7_{name}.png")) for name in ("fused", "comparison"))
    # Other settings are another result, and registered pictures give the same one as shifted ones that were moved.
    fuse(**paths, align_pictures=False)
    assert json.loads((out / "7" / "7_report.json").read_text())["warnings"] == ""
    assert not np.array_equal(np.asarray(Image.open(out / "7" / "7_fused.png")), fused)
    fuse(mri=paths["mri"], other=write_picture("p/ct.png", ct))
    assert json.loads((out / "7" / "7_report.json").read_text())["warnings"] == ""
    assert np.array_equal(np.asarray(Image.open(out / "7" / "7_fused.png")), fused)
    assert np.array_equal(np.asarray(Image.open(out / "7" / "7_comparison.png")), shown)


def test_colour_of_the_pet_is_kept(fuse, write_picture, noise):
    # middle greys only, so that no channel is clipped and the chroma can be read back
    pet = 96 + noise((24, 20, 3), 1) // 8
    out = fuse(mri=write_picture("m.png", 80 + noise((24, 20)) // 4), other=write_picture("p.png", pet))
    saved = torch.from_numpy(np.asarray(Image.open(out / "m" / "m_fused.png")).copy()).permute(2, 0, 1).float() / 255
    _, chroma = rgb_to_ycbcr(saved)
    _, expected = rgb_to_ycbcr(torch.from_numpy(pet).permute(2, 0, 1).float() / 255)
    assert (chroma - expected).abs().max() <= 1.0


def test_stretch_option_follows_the_released_rule(fuse, write_picture, noise):
    paths = {"mri": write_picture("m.png", noise((24, 20))), "other": write_picture("p.png", noise((24, 20, 3)))}
    saved = np.asarray(Image.open(fuse(**paths, stretch=True) / "m" / "m_fused.png"))
    assert saved.min() == 0 and saved.max() == 255


def test_official_pictures_with_the_released_weights_and_output_rule(fuse, data_dir, tmp_path):
    official = data_dir / "gesenet_official"
    convert_gesenet_checkpoint(official / "model" / "GeSeNet.pth", tmp_path / "released.pt")
    structure = {"mask_upsampling": "transposed", "output_range": [0.0, 1.0], "checkpoint": tmp_path / "released.pt"}
    structure |= {"black_background": False, "align_pictures": False}
    for modality in ("CT", "PET", "SPECT"):
        pairs = official / "test_images" / f"MRI_{modality}"
        out = fuse(mri=pairs / "MRI", other=pairs / modality, stretch=True, comparison=False, **structure)
        for name in ("1", "2"):
            fused = np.asarray(Image.open(out / name / f"{name}_fused.png").convert("RGB")).astype(float)
            expected = np.asarray(Image.open(official / "results" / f"MRI_{modality}" / f"{name}.png").convert("RGB"))
            assert 10 * np.log10(255**2 / ((fused - expected) ** 2).mean()) >= 46
            assert np.abs(fused - expected).mean() <= 0.7


def test_sizes_and_depths_of_a_folder(fuse, write_picture, noise, tmp_path):
    shapes = {"a": (31, 18), "b": (24, 24), "c": (24, 24), "d": (7, 50), "e": (24, 24)}
    for name, shape in shapes.items():
        write_picture(f"m/{name}.png", noise(shape))
        write_picture(f"o/{name}.tif", noise(shape, 1).astype(np.uint16) * 257 if name == "e" else noise(shape, 1))
    out = fuse(mri=tmp_path / "m", other=tmp_path / "o", batch_size=3)
    for name, shape in shapes.items():
        saved = np.asarray(Image.open(out / name / f"{name}_fused.png"))
        assert saved.shape == shape and saved.dtype == (np.uint16 if name == "e" else np.uint8)
    counts = json.loads((out / "run_report.json").read_text())["counts"]
    assert counts == {"ok": 5, "warned": 0, "refused": 0, "skipped": 0}
    fuse(mri=tmp_path / "m/c.png", other=tmp_path / "o/c.tif", output_dir=str(tmp_path / "alone"))
    both = (np.asarray(Image.open(folder / "c" / "c_fused.png")) for folder in (out, tmp_path / "alone"))
    assert np.array_equal(*both)


def test_datalist_and_dataset_dir(fuse, write_picture, noise, tmp_path):
    for name in ("1", "2"):
        write_picture(f"d/PET/test/mri/{name}.png", noise((16, 16)))
        write_picture(f"d/PET/test/other/{name}.png", noise((16, 16, 3)))
    out = fuse(dataset_dir=tmp_path / "d")
    assert {path.name for path in out.iterdir()} == {"PET_1", "PET_2", *RUN_FILES}
    item = {"mri": "PET/test/mri/1.png", "other": "PET/test/other/1.png", "name": "mine"}
    (tmp_path / "d" / "list.json").write_text(json.dumps({"test": [item]}))
    out = fuse(datalist=tmp_path / "d" / "list.json")
    assert (out / "mine" / "mine_fused.png").is_file()


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_volume_slice_by_slice(fuse, write_volume, random_network, slice_axis):
    affine = np.array([[0, 0, 3, -10], [-1, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1.0]])
    rng = np.random.default_rng(0)
    voxels = [rng.normal(100, 30, (13, 10, 7)).astype(np.float32) for _ in range(2)]
    paths = [write_volume(f"{n}.nii.gz", values, affine) for n, values in enumerate(voxels)]
    out = fuse(mri=paths[0], other=paths[1], slice_axis=slice_axis, sw_batch_size=3)
    saved = nib.load(out / "0" / "0_fused.nii.gz")
    assert np.array_equal(saved.affine, affine)
    # The median of Gaussian noise lies at half of the percentiles' range, above the mid grey of 0.45.
    toned = [darken_to_mid_grey(normalise_volume(values), 0.45) for values in voxels]
    slices = torch.from_numpy(np.stack(toned)).unbind(slice_axis + 1)
    with torch.no_grad():
        expected = torch.stack([random_network(part[None])[0, 0] for part in slices], dim=slice_axis)
    assert np.abs(saved.get_fdata() - expected.numpy()).max() < 1e-5


def test_sample_slice_is_that_of_the_sample_volume(gesenet_bundle):
    sample = gesenet_bundle / "sample_data"
    pair = LoadFusionPaird()(resolve_pairs(mri=sample / "mri", other=sample / "other")[0])["image"].numpy()
    volume = LoadFusionPaird()({"image": [str(sample / "volume" / f"{n}.nii.gz") for n in ("t1", "flair")]})["image"]
    # voxel axes are L, A, S: upright means front up, right on the left
    upright = volume[..., 37].numpy().swapaxes(1, 2)[:, ::-1]
    assert np.abs(pair - upright).max() <= 0.5 / 255 + 1e-6


def test_monai_label_path(gesenet_bundle, write_volume, noise, random_network):
    path = write_volume("p_mri.nii.gz", noise((9, 8, 7)))
    write_volume("p_pet.nii.gz", noise((9, 8, 7), 1))  # found beside the one that is given
    data, kept = as_monai_label(gesenet_bundle, path, random_network)
    assert data["pred"].shape == (1, 9, 8, 7)
    assert 1 < data["pred"].max() <= 255 and data["pred"].min() >= 0
    assert data["image"].meta["spatial_shape"].tolist() == [9, 8, 7]
    assert len(kept) == 3
