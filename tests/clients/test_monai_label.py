"""Both bundles' zips in a real MONAI Label: every form of input, several affines, and an epoch of training.

MONAI Label has an environment of its own: set MONAI_LABEL_PYTHON to its interpreter. Skipped without.
"""

import json
import os
import subprocess
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from shared_networks.release import build_release

HERE = Path(__file__).resolve().parent
ANGLE = np.deg2rad(15)
TURN = np.array([[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]])
AFFINES = {
    "sagittal": np.array([[0, 0, 2, -10], [-1, 0, 0, 20], [0, -1, 0, 30], [0, 0, 0, 1.0]]),
    "oblique": nib.affines.from_matvec(TURN @ np.diag([0.9, 0.9, 3]), [11.5, -22.25, 33.125]),
    "LPS": np.diag([-1.0, -1, 2, 1]),
}


@pytest.fixture(scope="module")
def label_python():
    python = os.environ.get("MONAI_LABEL_PYTHON", "")
    if not python:
        pytest.skip("MONAI_LABEL_PYTHON is not set")
    return python


@pytest.fixture(scope="module", params=["gesenet_bundle", "rmr_fusion_bundle"])
def bundle(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    with zipfile.ZipFile(build_release(HERE.parents[1] / request.param, folder / "dist")) as archive:
        archive.extractall(folder)
    return folder / request.param


def volumes(bundle):
    """Both sources of the bundle's sample volume, cut small."""
    if bundle.name == "gesenet_bundle":
        paths = [bundle / "sample_data" / "volume" / f"{name}.nii.gz" for name in ("t1", "flair")]
    else:
        paths = [bundle / "sample_data" / f"{name}.nii.gz" for name in ("t1", "flair")]
    return [np.asarray(nib.load(path).dataobj)[20:68, 30:83, 18:27] for path in paths]


def requests_of(bundle, folder):
    """Every form of input in turn, each with another affine; and the path of an image with the expected grid."""
    first, second = volumes(bundle)
    endings = ("_mri", "_other") if bundle.name == "gesenet_bundle" else ("_t1", "_flair")
    requests, references = [], []
    for form, (name, affine) in zip(("list", "sibling", "stacked"), AFFINES.items(), strict=True):
        paths = [folder / f"{name}{ending}.nii.gz" for ending in endings]
        for path, voxels in zip(paths, (first, second), strict=True):
            nib.save(nib.Nifti1Image(voxels, affine), path)
        stacked = folder / f"{name}_stacked.nii.gz"
        nib.save(nib.Nifti1Image(np.stack([first, second], axis=-1), affine), stacked)
        images = {"list": [str(path) for path in paths], "sibling": str(paths[0]), "stacked": str(stacked)}
        requests.append({"image": images[form]})
        references.append(paths[0])
    return requests, references


def training_items(bundle, requests, references, folder):
    """Two items as MONAI Label hands them to a training task: an image in one of the forms, and a label."""
    items = []
    for number, (image, reference) in enumerate(((requests[2]["image"], references[2]), (str(references[0]),) * 2)):
        grid = nib.load(reference)
        label = np.random.default_rng(number).integers(0, 5, grid.shape).astype(np.uint8)
        path = folder / f"label_{number}.nii.gz"
        nib.save(nib.Nifti1Image(label, grid.affine), path)
        items.append({"image": image, "label": str(path)})
    return items


def test_every_form_of_input_comes_back_on_its_grid(bundle, label_python, tmp_path):
    requests, references = requests_of(bundle, tmp_path)
    settings = {"requests": requests, "train": training_items(bundle, requests, references, tmp_path)}
    # The second answer as Slicer and OHIF want a fused image: whole numbers.
    if bundle.name == "gesenet_bundle":
        requests[1] |= {"scale_to_255": True, "result_dtype": "uint8"}
    train = bundle / "configs" / "train.json"
    config = json.loads(train.read_text())
    patch = [48, 48] if bundle.name == "gesenet_bundle" else [14, 14, 7]
    train.write_text(json.dumps(config | {"iterations_per_epoch": 1, "val_interval": 1, "patch_size": patch}))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {
        "CUDA_VISIBLE_DEVICES": "",
        "HOME": str(tmp_path),
        "PYTHONPATH": os.environ.get("MONAI_LABEL_PATH", ""),
    }
    done = subprocess.run(
        [label_python, str(HERE / "label_tasks.py"), str(bundle), json.dumps(settings), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["valid"]
    expected = ["fused image"] if bundle.name == "gesenet_bundle" else ["CSF", "GM", "WM", "WML"]
    # MONAI Label puts the names in small letters.
    assert sorted(answer["labels"]) == sorted(name.lower() for name in expected)
    results = []
    for number, reference in enumerate(references):
        result, image = nib.load(tmp_path / f"{number}.nii.gz"), nib.load(reference)
        assert result.shape == image.shape
        assert np.allclose(result.affine, image.affine, atol=1e-3)
        results.append(np.asarray(result.dataobj))
        assert np.isfinite(results[-1]).all()
    assert "trained" in answer
    if bundle.name == "rmr_fusion_bundle":
        assert all(set(np.unique(result)) <= set(range(5)) for result in results)
        assert len(np.unique(results[0])) > 2
    else:
        assert all(0 <= result.min() < result.max() <= 1 for result in (results[0], results[2]))
        assert results[1].dtype == np.uint8
        assert results[1].min() < 50 < 200 < results[1].max()
