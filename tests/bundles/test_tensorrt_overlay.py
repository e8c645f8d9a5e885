"""The overlay ``inference_trt.json`` of both bundles, as far as a machine without a GPU can tell.

TensorRT is the one part left out: the ONNX graph that ``trt_compile`` would hand to it is made by MONAI's own compiler
with the overlay's arguments, and run by ONNX Runtime.
"""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from monai.bundle import run
from monai.networks import trt_compiler

from shared_networks.utils import missing_for_tensorrt
from shared_networks.utils.optional_packages import missing_packages
from tests.bundles.bundle_runs import SMALL_HEAD, config_files, parse, refusal_of

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ["gesenet_bundle", "rmr_fusion_bundle"]
OVERLAY = "inference+inference_trt"


@pytest.mark.parametrize("name", BUNDLES)
def test_what_is_missing_is_said_in_one_line(name, tmp_path):
    keys = {"bundle_root": str(ROOT / name), "output_dir": str(tmp_path / "out"), "device": "cpu"}
    line = refusal_of(run, run_id="inferring", config_file=config_files(ROOT / name, OVERLAY), **keys)
    assert line.startswith("this run needs an NVIDIA GPU that PyTorch can use (the device is cpu)")
    assert line.endswith("; leave out the config that asks for it")
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_told_by_what_pip_calls_them():
    given = {"torch": "a", "no_such_module": "b", "no_such.part": "c", "monai.networks": "d"}
    assert missing_packages(given) == ["b", "c"]
    if missing_packages({"tensorrt": ""}):
        assert "packages (pip install 'tensorrt<11'" in missing_for_tensorrt("cpu")[-1]


@pytest.mark.parametrize("name", BUNDLES)
def test_an_engine_is_named_after_all_that_it_depends_on(name):
    """A plan of another precision or size must not be taken for the one that is asked for."""
    size = {"gesenet_bundle": {"trt_sizes": [[1, 8, 8]] * 3}, "rmr_fusion_bundle": {"roi_size": [28, 28, 28]}}[name]
    plans = [
        parse(ROOT / name, OVERLAY, **more).get_parsed_content("trt_plan")
        for more in ({}, {"trt_precision": "fp16"}, size)
    ]
    assert len(set(plans)) == 3
    assert all(plan.startswith(str(ROOT / name / "models" / "model.pt")) for plan in plans)


def run_what_tensorrt_would_get(network, arguments, monkeypatch, tmp_path, image, **options):
    """Session of the ONNX graph that MONAI's compiler makes at its first call, and the profiles beside it."""
    made = {}

    def keep(compiler, path):
        made["session"] = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        made["profiles"] = compiler.profiles
        raise InterruptedError

    monkeypatch.setattr(trt_compiler.TrtCompiler, "_onnx_to_trt", keep)
    # Without a GPU; with one it would move the defaults of the arguments there.
    monkeypatch.setattr(trt_compiler, "make_tensor", torch.as_tensor)
    compiler = trt_compiler.TrtCompiler(network, str(tmp_path / "engine.plan"), **arguments | {"fallback": False})
    with pytest.raises(InterruptedError):
        compiler.forward(network, (image,), options)
    return made["session"], made["profiles"]


def test_gesenet_gets_an_engine_for_any_size_with_masks(monkeypatch, tmp_path):
    """Without region masks, which make the graph large and which the tests of the export look at."""
    parser = parse(ROOT / "gesenet_bundle", OVERLAY, **{"network_def#region_mask": False})
    network = parser.get_parsed_content("network").eval()
    assert parser.get_parsed_content("inferer").return_masks
    session, profiles = run_what_tensorrt_would_get(
        network,
        parser.get_parsed_content("trt_args"),
        monkeypatch,
        tmp_path,
        torch.rand(4, 2, 32, 48),
        return_masks=True,
    )
    # The profile and the graph must call the input the same.
    assert [source.name for source in session.get_inputs()] == ["image"]
    assert profiles == [{"image": [[1, 2, 32, 32], [4, 2, 256, 256], [8, 2, 1024, 1024]]}]
    for shape in ((1, 2, 33, 47), (3, 2, 64, 30)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            expected = network(image, return_masks=True).numpy()
        np.testing.assert_allclose(session.run(None, {"image": image.numpy()})[0], expected, atol=1e-4)


def test_rmr_fusion_gets_an_engine_for_the_head_at_its_window(monkeypatch, tmp_path):
    """With a small head in its place: the shipped one takes minutes."""
    small = {key: SMALL_HEAD[key] for key in ("semantic_head", "head_divisor")}
    parser = parse(ROOT / "rmr_fusion_bundle", OVERLAY, **small)
    network = parser.get_parsed_content("network").eval()
    features = torch.rand(1, 18, 11, 8, 5, generator=torch.Generator().manual_seed(0))
    session, _ = run_what_tensorrt_would_get(
        network.semantic_head, parser.get_parsed_content("trt_args"), monkeypatch, tmp_path, features
    )
    with torch.no_grad():
        expected = network.semantic_head(features).numpy()
    (source,) = session.get_inputs()
    assert source.name == "features" and source.shape == [1, 18, 11, 8, 5]
    np.testing.assert_allclose(session.run(None, {"features": features.numpy()})[0], expected, atol=1e-4)
