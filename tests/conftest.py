"""What several tests share: where the data are, small pairs on the disk, a checkpoint of random weights."""

import itertools
import json
import os
import runpy
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image
from scipy.ndimage import gaussian_filter

from shared_networks.nets import BilateralAttentionSegmenter

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir():
    """Folder of the real images; tests that need it are skipped without it."""
    folder = os.environ.get("FUSION_DATA_DIR", "")
    if not folder:
        pytest.skip("FUSION_DATA_DIR is not set")
    return Path(folder)


@pytest.fixture
def run_module(monkeypatch, capsys):
    """Run a module as ``python -m`` does, but in this process; returns exit code, output and errors."""

    def run(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
        monkeypatch.delitem(sys.modules, name, raising=False)
        with pytest.raises(SystemExit) as ended:
            runpy.run_module(name, run_name="__main__")
            sys.exit(0)
        printed = capsys.readouterr()
        if isinstance(ended.value.code, str):  # Python prints it and ends with 1
            return 1, printed.out, printed.err + ended.value.code
        return ended.value.code or 0, printed.out, printed.err

    return run


@pytest.fixture(scope="session")
def gesenet_bundle():
    """Folder of the bundle in the repository."""
    return ROOT / "gesenet_bundle"


@pytest.fixture(scope="session")
def rmr_bundle():
    """Folder of the bundle in the repository."""
    return ROOT / "rmr_fusion_bundle"


@pytest.fixture(scope="session")
def random_network(gesenet_bundle):
    """The network of inference.json in evaluation mode, with random weights, always the same ones."""
    parser = ConfigParser()
    parser.read_config(str(gesenet_bundle / "configs" / "inference.json"))
    parser["bundle_root"] = str(gesenet_bundle)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return parser.get_parsed_content("network_def").eval()


@pytest.fixture(scope="session")
def random_checkpoint(random_network, tmp_path_factory):
    """State dict of ``random_network``."""
    path = tmp_path_factory.mktemp("checkpoint") / "model.pt"
    torch.save(random_network.state_dict(), path)
    return path


@pytest.fixture
def write_picture(tmp_path):
    """Function (name, pixels H x W or H x W x 3) -> path of the file below tmp_path."""

    def write(name, pixels):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(pixels)).save(path)
        return path

    return write


@pytest.fixture
def write_volume(tmp_path):
    """Function (name, voxels, affine) -> path of the NIfTI file below tmp_path."""

    def write(name, voxels, affine=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
        return path

    return write


@pytest.fixture
def noise():
    """Function (shape, number) -> random 8-bit pixels, the same for the same number."""

    def draw(shape, number=0):
        return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)

    return draw


@pytest.fixture(scope="session")
def shifted_pair():
    """An 8-bit picture of 80 x 96, the same in another contrast, and that moved by 4 columns; the border is black."""
    rows, columns = np.mgrid[:80, :96]
    inside = ((rows - 40) / 32) ** 2 + ((columns - 48) / 38) ** 2 < 1
    blobs = gaussian_filter(np.random.default_rng(0).standard_normal((80, 96)), 3)
    blobs = (blobs - blobs.min()) / (blobs.max() - blobs.min())
    first, second = (np.rint(255 * values * inside).astype(np.uint8) for values in (blobs, (1 - blobs) ** 2))
    return first, second, np.roll(second, 4, 1)


@pytest.fixture
def touch(tmp_path):
    """Function (names...) -> makes empty files below tmp_path; a list of cases does not look into files."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return tmp_path

    return make


@pytest.fixture(scope="session")
def write_rmr_case():
    """Function (folder, number, labels, shape) that writes t1, flair and label.nii.gz into a new folder."""

    def write(folder, number, labels=5, shape=(22, 20, 16)):
        """Smooth T1 and FLAIR with a border of zeros, and labels that follow them."""
        random = np.random.default_rng(number)
        folder.mkdir(parents=True)
        inside = np.zeros(shape, bool)
        inside[2:-2, 2:-2, 1:-1] = True
        smooth = gaussian_filter(random.standard_normal(shape), 2)
        bands = np.searchsorted(np.quantile(smooth[inside], np.arange(1, labels) / labels), smooth)
        noise = random.uniform(0, 5, (2, *shape))
        volumes = {"t1": 100 + 20 * bands + noise[0], "flair": 200 - 30 * bands + noise[1], "label": bands}
        for name, values in volumes.items():
            kind = np.uint8 if name == "label" else np.float32
            nib.save(nib.Nifti1Image((values * inside).astype(kind), np.diag([1, 1, 2, 1])), folder / f"{name}.nii.gz")

    return write


@pytest.fixture(scope="session")
def write_brains(write_rmr_case):
    """Function (folder, section=count ...) -> the folder with cases s0, s1 ... and their datalist.json."""

    def write(folder, **sections):
        listed, numbers = {}, itertools.count()
        for section, count in sections.items():
            listed[section] = []
            for number in itertools.islice(numbers, count):
                write_rmr_case(folder / f"s{number}", number)
                names = ("t1", "flair", *(() if section in ("test", "unlabelled_training") else ("label",)))
                files = {name: f"s{number}/{name}.nii.gz" for name in names}
                listed[section].append({"subject": f"s{number}", **files})
        (folder / "datalist.json").write_text(json.dumps(listed))
        return folder

    return write


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Smooth pairs of pictures of two modalities, 64 x 64, patients 1 and 2; all but the last one to test with, too."""
    folder = tmp_path_factory.mktemp("pairs")
    generator = np.random.default_rng(0)
    items = []
    for modality in ("CT", "PET"):
        for patient in ("1", "2"):
            item = {"modality": modality, "case": patient}
            for side in ("mri", "other"):
                coarse = Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8))
                item[side] = f"{modality}_{patient}_{side}.png"
                coarse.resize((64, 64), Image.Resampling.BICUBIC).save(folder / item[side])
            items.append(item)
    (folder / "datalist.json").write_text(json.dumps({"training": items, "test": items[:3]}))
    return folder


@pytest.fixture(scope="session")
def semantic_checkpoint(tmp_path_factory):
    """Random weights of GeSeNet's semantic module."""
    path = tmp_path_factory.mktemp("semantic") / "semantic.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(BilateralAttentionSegmenter().state_dict(), path)
    return path
