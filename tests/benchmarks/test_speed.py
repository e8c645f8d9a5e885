"""The benchmarks of time and memory: their counts are exact, and their quick forms write what they promise."""

import argparse
import json

import nibabel as nib
import pytest
import torch
from monai.networks.nets import UNet

from benchmarks import GESENET, gesenet_speed, gesenet_volume_memory, rmr_speed, rmr_volume_memory
from shared_networks.nets import GeSeNet, RMRFusionNet


def quick(benchmark, folder, *arguments):
    """What a benchmark's quick form returns, and its Markdown."""
    name = benchmark.__name__.rpartition(".")[2]
    result = benchmark.main([*arguments, "--quick", "--out", str(folder)])
    assert json.loads((folder / f"{name}.json").read_text()) == result
    return result, (folder / f"{name}.md").read_text()


# --- GeSeNet


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
    result, text = quick(gesenet_speed, tmp_path)
    forms = result["runs"][0]["forms"]
    assert set(forms) == {"straight", "masked", "sparse", "background skipped", "masked, all principal"}
    for form in ("straight", "masked", "sparse"):
        assert forms[form]["largest_difference"] <= 1e-5
        assert forms[form]["seconds"] > 0
    assert "| *arithmetic floor* |" in text and "| masked, all principal |" in text


def test_volume_is_timed_both_ways(tmp_path):
    paths = [tmp_path / f"{name}.nii.gz" for name in ("t1", "flair")]
    for path in paths:
        nib.save(nib.load(GESENET / "sample_data" / "volume" / path.name).slicer[:, :, 34:40], path)
    given = argparse.Namespace(volume=paths, device="cpu", checkpoint=GESENET / "models" / "model.pt")
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
    result, _ = quick(gesenet_volume_memory, tmp_path)
    assert set(result["peak_bytes"]) == {"4", "8"}
    assert all(peak > 50 * 2**20 for peak in result["peak_bytes"].values())


def test_memory_is_counted(tmp_path):
    given = argparse.Namespace(pairs=None, device="cpu", dtype="float32")
    checkpoint = GESENET / "models" / "model.pt"
    assert gesenet_speed._peak(given, checkpoint, 32, 1, "masked") > 50 * 2**20


# --- RMR-Fusion


def test_in_one_window_both_forms_give_the_same():
    torch.manual_seed(1)
    network = RMRFusionNet(UNet(3, 16, 5, channels=(4, 8), strides=(2,)), head_divisor=2).eval()
    image = torch.rand(1, 2, 14, 16, 9)
    expected = rmr_speed.run_form("encode_once", network, image, [16, 16, 16], 0.25)["output"]
    measured = rmr_speed.run_form("released", network, image, [14, 16, 9], 0.25)
    assert expected.shape == (1, 6, 14, 16, 9)
    assert torch.allclose(measured["output"], expected, atol=1e-5)
    assert measured["seconds"] > 0


def test_quick_speed_of_rmr_fusion(tmp_path):
    result, text = quick(rmr_speed, tmp_path, "--threads", "1", "--forms", "released")
    assert list(result["forms"]) == ["released"]
    assert result["forms"]["released"]["shape"] == [20, 18, 9]
    assert "| released |" in text and "1.00 times as fast" in text


@pytest.mark.full
def test_quick_volume_memory_of_rmr_fusion(tmp_path):
    result, text = quick(rmr_volume_memory, tmp_path)
    (case,) = result["cases"]
    # Of so small a volume nearly all memory is the libraries', which differs with what else is installed.
    assert 50 * 2**20 < case["peak_bytes"] < (case["estimated_gib"] + 0.5) * 2**30
    assert "| 12 x 12 x 12 |  | one piece |" in text
