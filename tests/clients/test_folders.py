"""The stock runner on every list of configs, from three folders: the repository, the bundle, and elsewhere."""

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from tests.bundles.bundle_runs import LISTS, parse
from tests.bundles.prostate_tables import write_prostate_tables
from tests.clients.pair_folder import write_pair_folder

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ["repository", "bundle", "elsewhere"]
ALL = [(bundle, names) for bundle, lists in LISTS.items() for names in lists]
# Not programs: what a bundle is, and the overlay that only a machine with CUDA can run.
NOT_RUN = {"metadata", "inference_trt"}


def run_id_of(names):
    """The id that runs a list."""
    return "inferring" if "inference" in names else "evaluating" if "evaluate" in names else "training"


def run_from(folder, bundle, names, overrides):
    """Run a list as its user would type it in one of the three folders; returns the finished process."""
    files = [f"{name}.json" for name in names.split("+")]
    cwd, root, prefix = {
        "repository": (REPOSITORY, bundle, f"{bundle}/configs/"),
        "bundle": (REPOSITORY / bundle, None, "configs/"),
        "elsewhere": ("/", str(REPOSITORY / bundle), f"{REPOSITORY / bundle}/configs/"),
    }[folder]
    paths = [prefix + name for name in files]
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1"] if "multi_gpu" in names else []
    command = [sys.executable, *launcher, "-m", "monai.bundle", "run", run_id_of(names)]
    command += ["--config_file", paths[0] if len(paths) == 1 else str(paths)]
    keys = overrides if root is None else {"bundle_root": root, **overrides}
    for key, value in keys.items():
        command += [f"--{key}", str(value)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def test_every_config_is_run():
    for bundle, lists in LISTS.items():
        stems = {path.stem for path in (REPOSITORY / bundle / "configs").glob("*.json")}
        assert stems - NOT_RUN == {name for names in lists for name in names.split("+")}


@pytest.mark.parametrize(
    ("bundle", "folders"),
    [("gesenet_bundle", ["repository", "elsewhere"]), ("rmr_fusion_bundle", ["bundle", "elsewhere"])],
)
def test_inference_gives_the_same_from_any_folder(bundle, folders, tmp_path):
    keys = ("mri", "other") if bundle == "gesenet_bundle" else ("t1", "flair")
    random = np.random.default_rng(0)
    overrides = {}
    for key in keys:
        image = np.zeros((20, 18, 6), np.float32)
        image[2:-2, 2:-2, 1:-1] = random.uniform(1, 2, (16, 14, 4))
        nib.save(nib.Nifti1Image(image, np.diag([1, 1, 3, 1])), tmp_path / f"case_{key}.nii.gz")
        overrides[key] = str(tmp_path / f"case_{key}.nii.gz")
    results = []
    for folder in folders:
        done = run_from(folder, bundle, "inference", {**overrides, "output_dir": str(tmp_path / folder)})
        assert done.returncode == 0, done.stderr[-2000:]
        (fused,) = (tmp_path / folder).rglob("*_fused.nii.gz")
        results.append(nib.load(fused))
    assert results[0].shape == (20, 18, 6)
    assert np.array_equal(results[0].affine, results[1].affine)
    assert np.array_equal(results[0].get_fdata(), results[1].get_fdata())


@pytest.fixture(scope="module")
def data(write_brains, write_rmr_case, tmp_path_factory):
    """Folders of pairs, brains and prostates."""
    folder = tmp_path_factory.mktemp("data")
    write_pair_folder(folder / "pairs")
    write_brains(folder / "brains", training=1, validation=1)
    write_prostate_tables(folder / "prostates", write_rmr_case)
    return folder


def overrides_of(bundle, names, data, out):
    """A tiny run of a list."""
    small = {"output_dir": out / "eval", "device": "cpu"}
    training = {"max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 1, "ckpt_dir": out, "num_workers": 0}
    if bundle == "gesenet_bundle":
        if names.startswith("inference"):
            return small | {"dataset_dir": data / "pairs"}
        if names == "train_semantic":
            return small | training | {"brain_dir": data / "brains"}
        keys = small | {"dataset_dir": data / "pairs", "validation_cases": {}}
        if "evaluate" in names:
            return keys
        return keys | training | {"batch_size": 1, "patch_size": [48, 48]}
    if names.startswith("inference"):
        case = data / "brains" / "s0"
        return small | {"t1": case / "t1.nii.gz", "flair": case / "flair.nii.gz"}
    keys = small | {"dataset_dir": data / ("prostates" if "prostate" in names else "brains")}
    if "evaluate" in names:
        return keys | {"fusion_metrics#VIF#_disabled_": True}
    sizes = {"patch_size": [14, 14, 7], "validation_size": [14, 14, 14], "batch_size": 1}
    if names != "two_stage":
        return keys | training | sizes
    short = {**sizes, "max_epochs": 1, "iterations_per_epoch": 1, "val_interval": 1}
    return keys | training | sizes | {f"stage1#{key}": value for key, value in short.items()}


@pytest.mark.full
@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize(("bundle", "names"), ALL, ids=[f"{bundle}-{names}" for bundle, names in ALL])
def test_every_list_runs_from_three_folders(folder, bundle, names, data, tmp_path):
    overrides = overrides_of(bundle, names, data, tmp_path)
    if "paper_size" in names.partition("inference")[2] or "released" in names.partition("evaluate")[2]:
        # Another network than that of the shipped weights.
        network = parse(REPOSITORY / bundle, names).get_parsed_content("network_def")
        torch.save(network.state_dict(), tmp_path / "weights.pt")
        overrides["checkpoint"] = tmp_path / "weights.pt"
    done = run_from(folder, bundle, names, overrides)
    assert done.returncode == 0, done.stderr[-3000:]
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    expected = {"inferring": "_fused.", "evaluating": ".csv", "training": ".pt"}[run_id_of(names)]
    assert any(expected in name for name in written), written
