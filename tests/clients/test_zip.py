"""Each bundle's zip, built, unpacked elsewhere, and used by MONAI's own clients without anything of the repository."""

import functools
import http.server
import json
import os
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import download

import shared_networks
from shared_networks.release import build_release
from tests.clients.pair_folder import write_pair_folder

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parent / "monai_schema" / "meta_schema_20240725.json"


@pytest.fixture(scope="module", params=["gesenet_bundle", "rmr_fusion_bundle"])
def archive(request, tmp_path_factory):
    return build_release(HERE.parents[1] / request.param, tmp_path_factory.mktemp("dist"))


@pytest.fixture
def unpacked(archive, tmp_path):
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "somewhere")
    return tmp_path / "somewhere" / archive.name.rpartition("_v")[0]


def gesenet_settings(bundle, tmp_path):
    data = {"dataset_dir": str(write_pair_folder(tmp_path / "data")), "device": "$torch.device('cpu')"}
    split = {"validation_cases": {}}
    tiny = {"max_epochs": 1, "iterations_per_epoch": 1, "batch_size": 1, "patch_size": [48, 48], "beta": 0.0}
    tiny |= {"val_interval": 1, "ckpt_dir": "trained", "output_dir": "trained/eval"}
    return {
        "sizes": {"any": 9},
        "infer": {
            "mri": str(bundle / "sample_data" / "mri" / "axial.png"),
            "other": str(bundle / "sample_data" / "other" / "axial.png"),
            "device": "cpu",
        },
        "results": ["axial_fused.png", "run_report.json"],
        "export": {},
        "exported_sizes": [[16, 16], [33, 47]],
        "run": {
            "train": data | split | tiny,
            "train+evaluate": data | split | {"output_dir": "evaluated", "checkpoint": "trained/model.pt"},
        },
        "made": ["trained/model.pt", "evaluated/harvard_test_gesenet.csv"],
    }


def cut(source, target):
    """A small part of a volume."""
    image = nib.load(source)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[20:50, 30:60, 18:26], image.affine), target)


def rmr_settings(bundle, tmp_path, write_rmr_case):
    (tmp_path / "part").mkdir()
    for name in ("t1", "flair"):
        cut(bundle / "sample_data" / f"{name}.nii.gz", tmp_path / "part" / f"{name}.nii.gz")
    for number, part in enumerate(("training", "validation")):
        write_rmr_case(tmp_path / "data" / part / f"s{number}", number)
    data = {"dataset_dir": str(tmp_path / "data"), "device": "$torch.device('cpu')"}
    tiny = {"max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 1, "batch_size": 1, "patch_size": [14, 14, 7]}
    tiny |= {"validation_size": [14, 14, 14], "ckpt_dir": "trained", "output_dir": "trained/eval"}
    small_images = {"fusion_metrics#VIF#_disabled_": True}
    return {
        "sizes": {"any": 14},
        "infer": {
            "t1": str(tmp_path / "part" / "t1.nii.gz"),
            "flair": str(tmp_path / "part" / "flair.nii.gz"),
            "device": "cpu",
        },
        "results": [f"part_{name}" for name in ("fused.nii.gz", "seg.nii.gz", "report.json", "qc.png")],
        # MONAI's Swin blocks cannot be scripted: the export is a trace at the size of the head's window.
        "export": {"use_trace": True, "input_shape": [1, 2, 28, 28, 28]},
        "exported_sizes": [[28, 28, 28]],
        "run": {
            "train_autoencoder": data | tiny,
            "train": data | tiny | {"autoencoder_checkpoint": "trained/autoencoder.pt"},
            "train+evaluate": data | small_images | {"output_dir": "evaluated", "checkpoint": "trained/model.pt"},
        },
        "made": ["trained/model.pt", "evaluated/brain_validation_rmr_fusion_clean.csv"],
    }


def test_the_zip_stands_alone(unpacked, tmp_path, write_rmr_case):
    if unpacked.name == "gesenet_bundle":
        settings = gesenet_settings(unpacked, tmp_path)
    else:
        settings = rmr_settings(unpacked, tmp_path, write_rmr_case)
    (tmp_path / "arguments.json").write_text(json.dumps({"bundle_root": str(unpacked)}))
    settings |= {"schema": str(SCHEMA), "arguments": str(tmp_path / "arguments.json")}
    (tmp_path / "empty").mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, str(HERE / "alone.py"), str(unpacked), json.dumps(settings)],
        capture_output=True,
        text=True,
        cwd=tmp_path / "empty",
        env=environment | {"CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.stdout.split("\n")[-2:] == ["all steps done", ""], done.stderr[-6000:]


def test_both_bundles_in_one_process_share_the_code_of_one_version(tmp_path):
    runs = []
    for name, keys in (("gesenet_bundle", ("mri", "other")), ("rmr_fusion_bundle", ("t1", "flair"))):
        with zipfile.ZipFile(build_release(HERE.parents[1] / name, tmp_path / "dist")) as content:
            content.extractall(tmp_path / "apps" / name)
        bundle = tmp_path / "apps" / name / name
        volume = bundle / "sample_data" / "volume" if name == "gesenet_bundle" else bundle / "sample_data"
        overrides = {key: str(volume / f"{image}.nii.gz") for key, image in zip(keys, ("t1", "flair"), strict=True)}
        runs.append([str(bundle), overrides | {"device": "cpu", "output_dir": str(tmp_path / name)}])
    for path in (tmp_path / "apps").rglob("*.nii.gz"):
        cut(path, path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, str(HERE / "alone.py"), json.dumps(runs)]
    environment["CUDA_VISIBLE_DEVICES"] = ""
    settings = {"capture_output": True, "text": True, "cwd": tmp_path, "env": environment}
    done = subprocess.run(command, **settings)
    assert done.returncode == 0, done.stderr[-4000:]
    for folder, _ in runs:
        assert list((tmp_path / Path(folder).name).rglob("*_fused.nii.gz"))

    metadata = Path(runs[1][0], "configs", "metadata.json")
    metadata.write_text(metadata.read_text().replace('"version": "0.1.0"', '"version": "9.9.9"'))
    done = subprocess.run(command, **settings)
    assert done.returncode != 0
    assert (
        f"version 9.9.9, but shared_networks {shared_networks.__version__} is loaded from {runs[0][0]}" in done.stderr
    )


def test_it_is_downloaded_from_a_file_and_from_a_server(archive, tmp_path):
    name = archive.name.rpartition("_v")[0]
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(archive.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        urls = [archive.as_uri(), f"http://127.0.0.1:{server.server_port}/{archive.name}"]
        for number, url in enumerate(urls):
            download(name=name, bundle_dir=str(tmp_path / str(number)), source="monaihosting", url=url, progress=False)
        server.shutdown()
    for number in range(2):
        folder = tmp_path / str(number) / name
        lines = (folder / "SHA256SUMS").read_text().splitlines()
        assert {line.split("  ")[1] for line in lines} <= {
            path.relative_to(folder).as_posix() for path in folder.rglob("*")
        }
