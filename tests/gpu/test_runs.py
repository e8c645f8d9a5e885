"""The configs of both bundles on the pretended GPU: inference and evaluation always, all the rest with ``--full``."""

import json
import math
from functools import partial

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.toy_data import FEW_VERSIONS
from shared_networks.blocks.grouped_window_attention import GroupedWindowAttention
from shared_networks.inferers import EncodeOnceInferer, FusionInferer
from shared_networks.inferers.memory_fallback import on_processor
from shared_networks.nets import DegradationAutoencoder, GeSeNet
from tests.bundles.bundle_runs import (
    HEADS,
    LIGHT_HEAD,
    TINY_PICTURES,
    TINY_VOLUMES,
    network_of,
    parse,
    read_table,
    run_workflow,
)

TINY = TINY_VOLUMES | {"max_epochs": 2, "iterations_per_epoch": 2}
LIGHT = {**LIGHT_HEAD, "roi_size": [28, 28, 28]}


@pytest.fixture(scope="module")
def light_checkpoint(rmr_bundle, tmp_path_factory):
    """Random weights of the network with the light head."""
    path = tmp_path_factory.mktemp("light") / "model.pt"
    torch.save(network_of(rmr_bundle, **LIGHT).state_dict(), path)
    return path


def on_both(run):
    """What ``run(device)`` gives on the CPU and on the pretended GPU, which the fixture has made."""
    return run("$torch.device('cpu')"), run("$torch.device('cuda')")


def test_inference_of_gesenet(gesenet_bundle, pairs, tmp_path, gpu):
    def infer(device):
        folder = tmp_path / ("cuda" if "cuda" in device else "cpu")
        keys = {"device": device, "datalist": pairs / "datalist.json", "datalist_section": "test"}
        run_workflow(gesenet_bundle, ["inference"], "infer", output_dir=folder, num_workers=0, **keys)
        return {path.name: np.asarray(Image.open(path)) for path in sorted(folder.glob("*/*_fused.png"))}

    expected, result = on_both(infer)
    assert result.keys() == expected.keys() and len(result) == 3
    for name, picture in result.items():
        assert np.abs(picture.astype(int) - expected[name]).max() <= 1, name


@pytest.mark.parametrize(("amp", "largest", "same"), [(False, 1e-4, 0.999), (True, 4e-3, 0.98)])
def test_inference_of_rmr_fusion(amp, largest, same, rmr_bundle, brains, light_checkpoint, tmp_path, gpu):
    """In float32, and under autocast to float16 against float32 on the CPU."""

    def infer(device):
        folder = tmp_path / ("cuda" if "cuda" in device else "cpu")
        case = brains / "validation" / "s2"
        keys = {"device": device, "t1": case / "t1.nii.gz", "flair": case / "flair.nii.gz", **LIGHT}
        keys |= {"amp": amp and "cuda" in device, "checkpoint": light_checkpoint}
        run_workflow(rmr_bundle, ["inference"], "infer", output_dir=folder, **keys)
        (fused,), (label,) = folder.glob("*/*_fused.nii.gz"), folder.glob("*/*_seg*.nii.gz")
        return nib.load(fused).get_fdata(), nib.load(label).get_fdata()

    (fused, label), (fused_there, label_there) = on_both(infer)
    difference = np.abs(fused - fused_there).max()
    assert difference < largest and (difference > 1e-5) == amp
    assert fused.std() > 0 and (label == label_there).mean() > same


@pytest.mark.parametrize(("amp", "largest"), [(False, 2e-3), (True, 2e-2)])
def test_evaluation_of_rmr_fusion(amp, largest, rmr_bundle, brains, light_checkpoint, tmp_path, gpu):
    def evaluate(device):
        folder = tmp_path / ("cuda" if "cuda" in device else "cpu")
        keys = {"device": device, "dataset_dir": brains, "data_name": "tiny", "checkpoint": light_checkpoint, **LIGHT}
        keys |= {"amp": amp and "cuda" in device, "num_workers": 0, "degrade": True}
        run_workflow(rmr_bundle, ["train", "evaluate"], "train", output_dir=folder, **keys)
        (row,) = read_table(folder / "tiny_rmr_fusion_degraded.csv")
        return {name: float(value) for name, value in row.items() if name != "case" and value}

    expected, result = on_both(evaluate)
    assert result == pytest.approx(expected, abs=largest) and len(result) > 10


@pytest.mark.full
@pytest.mark.parametrize("amp_dtype", ["float16", "bfloat16"])
def test_both_stages_of_rmr_fusion(amp_dtype, rmr_bundle, brains, tmp_path, gpu):
    keys = {**TINY, **LIGHT, "dataset_dir": brains, "ckpt_dir": tmp_path, "amp_dtype": amp_dtype}
    run_workflow(rmr_bundle, ["train_autoencoder"], "train", output_dir=tmp_path / "1", **without(keys, LIGHT))
    keys |= {"autoencoder_checkpoint": tmp_path / "autoencoder.pt", **FEW_VERSIONS}
    workflow = run_workflow(rmr_bundle, ["train"], "train", output_dir=tmp_path / "2", **keys)
    assert workflow.parser.get_parsed_content("network_def").trainable_parameters()[0].is_cuda
    state = torch.load(tmp_path / "rmr_checkpoint_epoch=2.pt", weights_only=True)
    assert state["trainer"]["scaler"]["scale"] > 1 and torch.load(tmp_path / "model.pt", weights_only=True)

    # Resumed on the GPU with the scaler, and then on a CPU without one.
    run_workflow(rmr_bundle, ["train"], "train", output_dir=tmp_path / "2", **{**keys, "max_epochs": 3})
    keys |= {"max_epochs": 4, "device": "$torch.device('cpu')"}
    run_workflow(rmr_bundle, ["train"], "train", output_dir=tmp_path / "2", **keys)
    state = torch.load(tmp_path / "rmr_checkpoint_epoch=4.pt", weights_only=True)
    assert state["trainer"]["iteration"] == 8 and state["trainer"]["scaler"] == {}


def without(keys, others):
    return {key: value for key, value in keys.items() if key not in others}


@pytest.mark.full
def test_two_stages_in_one_run(rmr_bundle, brains, tmp_path, gpu):
    keys = {
        **TINY,
        **LIGHT,
        **FEW_VERSIONS,
        "dataset_dir": brains,
        "ckpt_dir": tmp_path,
        "output_dir": tmp_path / "eval",
    }
    shared = ("num_workers",)
    keys |= {f"stage1#{key}": value for key, value in TINY.items() if key not in shared}
    run_workflow(rmr_bundle, ["two_stage"], "train", **keys)
    assert (tmp_path / "model.pt").is_file() and (tmp_path / "autoencoder_complete.json").is_file()


@pytest.mark.full
@pytest.mark.parametrize("amp_dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("overlay", [*HEADS, "head_only", "degrade_stage2", "tune_encoders"])
def test_every_head_and_ablation_trains(overlay, amp_dtype, rmr_bundle, brains, tmp_path, gpu, monkeypatch):
    # A scale that fits from the first step: the one that is run must not be left out.
    monkeypatch.setattr(torch.cuda.amp, "GradScaler", partial(torch.cuda.amp.GradScaler, init_scale=256.0))
    torch.save(DegradationAutoencoder().state_dict(), tmp_path / "autoencoder.pt")
    keys = {
        **TINY,
        **FEW_VERSIONS,
        "max_epochs": 1,
        "iterations_per_epoch": 1,
        "dataset_dir": brains,
        "val_interval": 2,
    }
    keys |= {"autoencoder_checkpoint": tmp_path / "autoencoder.pt", "ckpt_dir": tmp_path, "checkpoint_handlers": []}
    overlays = [overlay] if overlay in HEADS else ["head_segresnet", overlay]
    keys |= {"amp_dtype": amp_dtype, "output_dir": tmp_path / "eval"}
    content = run_workflow(rmr_bundle, ["train", *overlays], "train", **keys).parser.get_parsed_content
    assert all(math.isfinite(value.item()) for value in content("loss").parts.values())
    assert content("train#trainer").scaler.get_scale() == 256.0, "the step was left out"
    network = content("network_def")
    names = {id(value): name for name, value in network.named_parameters()}
    # UNETR has no cross attention, MONAI's transformer has a norm for one.
    learning = [value for group in content("optimizer").param_groups for value in group["params"]]
    learning = [value for value in learning if "norm_cross_attn" not in names[id(value)]]
    with torch.no_grad():
        bad = [
            value for value in learning if value.grad is None or not (value.grad.isfinite().all() and value.grad.any())
        ]
        assert [names[id(value)] for value in bad] == [] and len(learning) > 10
        assert network.eval()(torch.rand(1, 2, 9, 7, 5, device="cuda")).isfinite().all()


@pytest.mark.full
def test_training_and_evaluation_of_gesenet(gesenet_bundle, pairs, semantic_checkpoint, tmp_path, gpu):
    keys = {**TINY_PICTURES, "dataset_dir": pairs, "ckpt_dir": tmp_path, "semantic_checkpoint": semantic_checkpoint}
    run_workflow(gesenet_bundle, ["train"], "train", output_dir=tmp_path / "eval", **keys)
    GeSeNet(mask_upsampling="bilinear").load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    keys = {"dataset_dir": pairs, "data_name": "tiny", "checkpoint": tmp_path / "model.pt", "num_workers": 0}
    run_workflow(gesenet_bundle, ["train", "evaluate"], "train", output_dir=tmp_path / "eval", **keys)
    summary = json.loads((tmp_path / "eval" / "tiny_gesenet.json").read_text(encoding="utf-8"))
    assert summary["hardware"] == "pretended GPU" and summary["modalities"].keys() == {"CT", "PET"}


@pytest.mark.full
def test_training_of_the_semantic_module(gesenet_bundle, data_dir, tmp_path, gpu):
    keys = {"max_epochs": 1, "iterations_per_epoch": 2, "val_interval": 1, "validation_every": 40, "batch_size": 2}
    keys |= {"dataset_dir": data_dir / "harvard", "ckpt_dir": tmp_path, "output_dir": tmp_path, "num_workers": 0}
    run_workflow(gesenet_bundle, ["train_semantic"], "train", **keys)
    assert torch.load(tmp_path / "semantic.pt", weights_only=True)


def test_a_network_comes_back_from_the_processor(gpu):
    network = torch.nn.Conv3d(1, 1, 1).to("cuda")
    with pytest.raises(KeyError), on_processor(network):
        assert not next(network.parameters()).is_cuda
        raise KeyError
    assert next(network.parameters()).is_cuda


@pytest.mark.full
def test_inference_steps_down_when_the_memory_is_too_small(rmr_bundle, light_checkpoint, gpu, caplog):
    parser = parse(rmr_bundle, "inference", device="$torch.device('cuda')", **LIGHT)
    network = parser.get_parsed_content("network").eval()
    network.load_state_dict(torch.load(light_checkpoint, map_location="cuda", weights_only=True))
    volume = torch.rand(1, 2, 88, 58, 30).to("cuda")
    inferer = EncodeOnceInferer(roi_size=(28, 28, 28), sw_batch_size=8, overlap=0.25)
    for module in network.modules():
        if isinstance(module, GroupedWindowAttention):
            # The pretended device holds the attention of all windows of a group, which CUDA's kernel never does.
            module.windows_per_group = 8
    with torch.no_grad():
        expected = inferer(volume, network).cpu()
        gpu.most_elements = 6 * 10**6
        assert inferer(volume, network).isfinite().all().item()
        assert "GPU memory is full: going on in blocks of" in caplog.text and "on the CPU" not in caplog.text
        gpu.most_elements = 2 * 10**5
        result = inferer(volume, network)
        gpu.most_elements = None
    assert "on the CPU" in caplog.text
    assert (result.cpu() - expected).abs().max() < 1e-3
    assert next(network.parameters()).is_cuda


@pytest.mark.full
def test_fusion_steps_down_when_the_memory_is_too_small(gpu, caplog):
    torch.manual_seed(0)
    network, volume = GeSeNet(mask_upsampling="bilinear").eval().to("cuda"), torch.rand(1, 2, 40, 36, 8).to("cuda")
    inferer = FusionInferer(sw_batch_size=8)
    with torch.no_grad():
        expected = inferer(volume, network).cpu()
        gpu.most_elements = 4 * 40 * 36 * 32
        result = inferer(volume, network).cpu()
    assert "at a time" in caplog.text and torch.allclose(result, expected, atol=1e-5)
