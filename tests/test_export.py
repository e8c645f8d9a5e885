"""Exported networks: made from the built zip alone, equal to the network elsewhere than at the example, and usable."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import load_net_with_metadata
from monai.inferers import SlidingWindowInferer

import shared_networks
from shared_networks import export
from shared_networks.errors import InputError
from shared_networks.export import export_bundle
from shared_networks.inferers import BackgroundSkipping, EncodeOnceInferer
from shared_networks.release import build_release
from shared_networks.utils.bundle_network import load_network
from tests.bundles.bundle_runs import SMALL_HEAD, run_workflow

ROOT = Path(__file__).resolve().parents[1]
WINDOW = [14, 14, 7]


def unpack(name, folder):
    """The bundle of the built zip."""
    with zipfile.ZipFile(build_release(ROOT / name, folder / "dist")) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked" / name


def run_alone(bundle, *arguments, cwd):
    """The command with the code of the unpacked bundle."""
    environment = {**os.environ, "PYTHONPATH": str(bundle), "CUDA_VISIBLE_DEVICES": ""}
    where = [sys.executable, "-c", "import shared_networks; print(shared_networks.__file__)"]
    found = subprocess.run(where, capture_output=True, text=True, cwd=cwd, env=environment, check=True)
    assert Path(found.stdout.strip()).is_relative_to(bundle)
    command = [sys.executable, "-m", "shared_networks.export", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def images(*sizes):
    return [torch.rand(size, generator=torch.Generator().manual_seed(7)) for size in sizes]


@torch.no_grad()
def assert_equal_to_network(bundle, folder, sizes, atol=export.LARGEST_DIFFERENCE):
    """Both files give what the network with the bundle's weights gives."""
    network = load_network(bundle)
    stem = f"{bundle.name}_v{shared_networks.__version__}"
    scripted = torch.jit.load(str(folder / f"{stem}.ts")).eval()
    session = onnxruntime.InferenceSession(str(folder / f"{stem}.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["version"] == shared_networks.__version__
    for image in images(*sizes):
        expected = network(image)
        assert expected.std() > 1e-3
        scale = max(1.0, float(expected.abs().max()))
        assert torch.allclose(scripted(image), expected, rtol=0, atol=scale * atol), image.shape
        (given,) = session.run(["pred"], {"image": image.numpy()})
        np.testing.assert_allclose(given, expected.numpy(), rtol=0, atol=scale * atol)


@pytest.fixture(scope="module")
def gesenet(tmp_path_factory):
    """The unpacked bundle, and the folder of its exported files."""
    folder = tmp_path_factory.mktemp("gesenet")
    bundle = unpack("gesenet_bundle", folder)
    (folder / "foreign").mkdir()
    done = run_alone(bundle, bundle, "--out", "made", cwd=folder / "foreign")
    assert done.returncode == 0, done.stderr[-3000:]
    names = [f"gesenet_bundle_v{shared_networks.__version__}{suffix}" for suffix in (".ts", ".onnx")]
    assert [Path(line.split(" (")[0]).name for line in done.stdout.splitlines()] == names
    assert sorted(path.name for path in (folder / "foreign" / "made").iterdir()) == sorted(names)
    return bundle, folder / "foreign" / "made"


def small_rmr_bundle(folder):
    """The unpacked RMR-Fusion with a small window and a small head of random weights, so that an export takes seconds.

    What is exported must follow from the bundle's files: no size or network of the shipped configs is left in it.
    """
    bundle = unpack("rmr_fusion_bundle", folder)
    path = bundle / "configs" / "inference.json"
    config = json.loads(path.read_text())
    config["roi_size"], config["classes"], config["head_divisor"] = WINDOW, 3, 2
    config["auxiliary_of"] = 2
    config["semantic_head"] = SMALL_HEAD["semantic_head"]
    path.write_text(json.dumps(config))
    parser = ConfigParser(config | {"bundle_root": str(bundle)})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(parser.get_parsed_content("network_def").state_dict(), bundle / "models" / "model.pt")
    return bundle


@pytest.fixture(scope="module")
def rmr(tmp_path_factory):
    """A small bundle of RMR-Fusion's kind, and the folder of its exported files."""
    folder = tmp_path_factory.mktemp("rmr")
    bundle = small_rmr_bundle(folder)
    (folder / "foreign").mkdir()
    done = run_alone(bundle, bundle, "--out", folder / "made", "--format", "all", cwd=folder / "foreign")
    assert done.returncode == 0, done.stderr[-3000:]
    return bundle, folder / "made"


# --- equality


def test_gesenet_takes_any_size_and_batch(gesenet):
    assert_equal_to_network(*gesenet, [(1, 2, 1, 3), (1, 2, 33, 47), (3, 2, 18, 65), (2, 2, 64, 64), (5, 2, 7, 2)])


def test_rmr_fusion_takes_its_window(rmr):
    bundle, folder = rmr
    assert_equal_to_network(bundle, folder, [(1, 2, *WINDOW)])
    (onnx,) = folder.glob("*.onnx")
    session = onnxruntime.InferenceSession(str(onnx), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == [1, 2, *WINDOW]
    assert session.get_outputs()[0].shape == [1, 4, *WINDOW]


def test_torchscript_holds_metadata_and_config(rmr):
    bundle, folder = rmr
    (path,) = folder.glob("*.ts")
    _, metadata, extra = load_net_with_metadata(str(path), more_extra_files=["inference.json"])
    assert metadata == json.loads((bundle / "configs" / "metadata.json").read_text())
    assert extra["inference.json"] == (bundle / "configs" / "inference.json").read_bytes()


@pytest.mark.full
@pytest.mark.parametrize("name", ["gesenet_bundle", "rmr_fusion_bundle"])
def test_shipped_bundle_at_its_real_size(name, tmp_path):
    bundle = unpack(name, tmp_path)
    done = run_alone(bundle, bundle, "--out", "made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    config = json.loads((bundle / "configs" / "inference.json").read_text())
    size = (2, 2, 255, 256) if name == "gesenet_bundle" else (1, 2, *config["roi_size"])
    assert_equal_to_network(bundle, tmp_path / "made", [size])


# --- use


@torch.no_grad()
def test_exported_rmr_fusion_slides_over_a_volume(rmr):
    """A volume larger than the window, and one that is smaller along an axis."""
    bundle, folder = rmr
    (path,) = folder.glob("*.ts")
    scripted, network = torch.jit.load(str(path)).eval(), load_network(bundle)
    for size in ((30, 19, 12), (20, 14, 5)):
        (image,) = images((1, 2, *size))
        slide = SlidingWindowInferer(WINDOW, overlap=0.25, mode="gaussian", padding_mode="replicate")
        expected = slide(image, network)
        made = EncodeOnceInferer(WINDOW, overlap=0.25)(image, scripted)
        assert made.shape == expected.shape == (1, 4, *size)
        assert torch.allclose(made, expected, rtol=0, atol=1e-4)
        # The head sees other windows than the whole network does: nothing here was computed in one piece.
        assert not torch.allclose(made, network(image), rtol=0, atol=1e-3)


def test_exported_gesenet_takes_the_networks_place_in_a_run(gesenet, tmp_path):
    """As the documentation says: another network_def, and no checkpoint loaded into it."""
    bundle, folder = gesenet
    (path,) = folder.glob("*.ts")
    samples = bundle / "sample_data"
    keys = {"mri": samples / "mri" / "axial.png", "other": samples / "other" / "axial.png", "device": "cpu"}
    replaced = {"network_def": f"$torch.jit.load({str(path)!r})", "with_weights": False}
    results = []
    for number, more in enumerate(({}, replaced)):
        run_workflow(bundle, ["inference"], "infer", output_dir=tmp_path / str(number), **keys, **more)
        results.append((tmp_path / str(number) / "axial" / "axial_fused.png").read_bytes())
    assert results[0] == results[1]


def test_background_skipping_refuses_what_hides_its_parts(gesenet):
    (path,) = gesenet[1].glob("*.ts")
    with pytest.raises(InputError, match="skip_background needs the network itself"):
        BackgroundSkipping(torch.jit.load(str(path)))


# --- refusals


@pytest.fixture
def copy(gesenet, tmp_path):
    """A copy of the unpacked bundle without its large side weights."""
    kept = shutil.ignore_patterns("semantic.pt", "docs", "sample_data", "shared_networks", "eval")
    return Path(shutil.copytree(gesenet[0], tmp_path / "gesenet_bundle", ignore=kept))


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def other_weights(bundle):
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    state["decoder.0.weight"] = state["decoder.0.weight"][:3]
    torch.save(state, bundle / "models" / "model.pt")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (other_weights, r"decoder.0.weight has shape \(3, .*not the weights of the network"),
        (lambda b: (b / "models" / "model.pt").unlink(), "model.pt: not found; download the weights"),
        (lambda b: (b / "configs" / "inference.json").unlink(), "inference.json: cannot be read"),
        (lambda b: edit(b / "configs" / "metadata.json", version="99.0.0"), "says version 99.0.0"),
        (lambda b: edit(b / "configs" / "inference.json", roi_size=[8, -1]), "roi_size is "),
        (shutil.rmtree, "metadata.json: cannot be read .*give the folder of a bundle"),
    ],
)
def test_a_bundle_that_cannot_be_exported_is_refused_and_nothing_is_left(copy, tmp_path, harm, message):
    harm(copy)
    with pytest.raises(InputError, match=message):
        export_bundle(copy, tmp_path / "made", ["torchscript"])
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("wrong", [1e-3, float("nan")])
def test_a_file_that_differs_from_the_network_is_not_kept(copy, tmp_path, monkeypatch, wrong):
    monkeypatch.setitem(
        export._WAYS, "torchscript", (export._save_torchscript, lambda path: lambda x: load_network(copy)(x) + wrong)
    )
    with pytest.raises(InputError, match=r"torchscript differs from the network by (1\.0e-03|nan), more than 1e-04"):
        export_bundle(copy, tmp_path / "made", ["torchscript"])
    assert not (tmp_path / "made").exists()


def test_a_place_that_cannot_be_written_is_refused(copy, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"made: cannot be written \(.*give another folder by --out"):
        export_bundle(copy, tmp_path / "file" / "made", ["torchscript"])


def test_missing_packages_are_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "missing_packages", lambda packages: [name for name in packages if name != "onnx"])
    with pytest.raises(InputError, match=r"pip install onnxscript onnxruntime$"):
        export_bundle(tmp_path / "nowhere", tmp_path / "made")


def test_command_ends_with_one_line(copy, gesenet, tmp_path):
    other_weights(copy)
    done = run_alone(gesenet[0], copy, "--out", "made", "--format", "torchscript", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith(f"error: {copy / 'models' / 'model.pt'}: decoder.0.weight")
    assert "Traceback" not in done.stderr and not (tmp_path / "made").exists()
