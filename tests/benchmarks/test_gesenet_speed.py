"""The benchmarks' quick forms run and write what they promise; their counts are exact."""

import argparse
import json
from pathlib import Path

import nibabel as nib
import torch

from benchmarks import gesenet_speed, gesenet_volume_memory
from shared_networks.nets import GeSeNet


def test_multiply_adds_are_those_of_the_layers():
    """By hand, for one pixel: both branches, refinement, decoder; the generator's second half at a quarter."""
    stem, edge = 9 * 16, 9 * 16 * 16 + 9 * 32 * 16 + 48 * 32 + 2 * 9 * 16 + 16 * 32
    generator = 9 * 32 * 8 + 9 * 8 * 8 / 4 + 9 * 8 * 2
    branch = stem + edge + generator + 4 * 9 * 32 * 32 + 128 * 32
    refinement = 9 * 32 * 32 + 9 * 32 * 64 + 32 * 32 + 32 * 64 + 9 * 128 * 64
    pixel = 2 * branch + refinement + 9 * 96 * 32 + 9 * 32
    attention = 2 * 2 * 32 * 2
    counted = gesenet_speed.multiply_adds(GeSeNet(mask_upsampling="bilinear").eval(), torch.rand(1, 2, 64, 64))
    assert counted == pixel * 64 * 64 + attention
    assert round(pixel * 256 * 256 / 1e9, 1) == 15.6


def test_all_principal_leaves_the_network_alone():
    network = GeSeNet().eval()
    image = torch.rand(1, 2, 16, 16)
    before = network(image, return_masks=True)
    assert gesenet_speed.all_principal(network)(image, return_masks=True)[:, 1:].min() == 1
    assert torch.equal(network(image, return_masks=True), before)


def test_quick_speed(tmp_path):
    result = gesenet_speed.main(["--quick", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "gesenet_speed.json").read_text()) == result
    forms = result["runs"][0]["forms"]
    assert set(forms) == {"straight", "masked", "sparse", "background skipped", "masked, all principal"}
    for form in ("straight", "masked", "sparse"):
        assert forms[form]["largest_difference"] <= 1e-5
        assert forms[form]["seconds"] > 0
    assert result["runs"][0]["align_seconds"] > 0
    text = (tmp_path / "gesenet_speed.md").read_text()
    assert "arithmetic floor" in text and "align_pictures" in text


def test_volume_is_timed_both_ways():
    volume = gesenet_speed.BUNDLE / "sample_data" / "volume"
    paths = [volume / "t1.nii.gz", volume / "flair.nii.gz"]
    given = argparse.Namespace(volume=paths, device="cpu", checkpoint=gesenet_speed.BUNDLE / "models" / "model.pt")
    result = gesenet_speed.measure_volume(given)
    assert result["shape"] == list(nib.load(paths[0]).shape)
    assert set(result["seconds"]) == {"whole slices", "background skipped"}
    # Half a grey level, where either picture shows anything.
    assert result["largest_difference_above_0"] < 0.5 / 255


def test_pairs_fill_a_batch():
    pairs = gesenet_speed.load_pairs(None, 32, 3)
    assert pairs.shape == (3, 2, 32, 32)
    assert torch.equal(pairs[0], pairs[2])


def test_quick_volume_memory(tmp_path):
    result = gesenet_volume_memory.main(["--quick", "--out", str(tmp_path)])
    assert json.loads((tmp_path / "gesenet_volume_memory.json").read_text()) == result
    assert set(result["peak_bytes"]) == {"4", "8"}
    assert all(peak > 50 * 2**20 for peak in result["peak_bytes"].values())


def test_memory_is_counted(tmp_path):
    given = argparse.Namespace(pairs=None, device="cpu", dtype="float32")
    checkpoint = Path(gesenet_speed.BUNDLE) / "models" / "model.pt"
    assert gesenet_speed._peak(given, checkpoint, 32, 1, "masked") > 50 * 2**20
