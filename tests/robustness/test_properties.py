"""Whatever volume or picture is given: refused, or a result on the grid of the input, in range, without NaN."""

import itertools
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser
from monai.transforms import SaveImaged
from PIL import Image

from shared_networks.data import CaseLog, FusionDataset
from shared_networks.io.reading import read_source
from shared_networks.transforms import LoadModalitiesd
from tests.bundles.bundle_runs import SMALL_HEAD

FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # making a failing case smaller takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]


def orientations():
    """Every assignment of voxel axes to axes of the world, with every sign."""
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            matrix = np.zeros((3, 3))
            matrix[list(axes), range(3)] = signs
            yield matrix


@st.composite
def affines(draw):
    """Orientation, a small turn, voxel sizes and an origin."""
    first, second, third = (draw(st.floats(-0.4, 0.4)) for _ in range(3))
    turn = np.eye(3)
    for angle, (i, j) in zip((first, second, third), ((0, 1), (0, 2), (1, 2)), strict=True):
        step = np.eye(3)
        step[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        turn = turn @ step
    affine = np.eye(4)
    sizes = [draw(st.floats(0.2, 12.0)) for _ in range(3)]
    affine[:3, :3] = turn @ draw(st.sampled_from(list(orientations()))) @ np.diag(sizes)
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return affine.astype(np.float32).astype(np.float64)


@st.composite
def intensities(draw, shape):
    """Values of one modality: any type, range and background."""
    kind = np.dtype(draw(st.sampled_from(TYPES)))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    values = random.standard_normal(shape) ** draw(st.sampled_from([1, 2, 5]))
    scale, offset = draw(st.sampled_from([1e-6, 1.0, 50.0, 4000.0, 1e9, 1e30])), draw(st.sampled_from([-1.0, 0.0, 3.0]))
    values = (values + offset) * scale
    values[random.random(shape) < draw(st.sampled_from([0.0, 0.5, 0.99]))] = 0
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        return values.clip(limits.min, limits.max).astype(kind)
    return values.clip(-1e37, 1e37).astype(kind)


@st.composite
def cases(draw, longest=18):
    """Shape, affine and values of two modalities."""
    shape = tuple(draw(st.integers(1, longest)) for _ in range(3))
    return draw(affines()), draw(intensities(shape)), draw(intensities(shape))


def write_pair(folder, case):
    affine, first, second = case
    paths = [Path(folder) / "a_first.nii.gz", Path(folder) / "a_second.nii.gz"]
    for path, values in zip(paths, (first, second), strict=True):
        nib.save(nib.Nifti1Image(values, affine), path)
    return paths


class Bundle:
    """The parts of an inference.json, built once; ``run`` does for one case what the evaluator does."""

    def __init__(self, root, network=None, **override):
        self.parser = ConfigParser()
        self.parser.read_config(str(root / "configs" / "inference.json"))
        self.parser.update({"bundle_root": str(root), "device": "cpu", **override})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = network or self.parser.get_parsed_content("network_def").eval()
        self.preprocessing = self.parser.get_parsed_content("preprocessing")
        self.postprocessing = self.parser.get_parsed_content("postprocessing")
        self.inferer = self.parser.get_parsed_content("inferer")
        self.saver = next(step for step in self.postprocessing.transforms if isinstance(step, SaveImaged))

    @torch.no_grad()
    def run(self, paths, folder):
        """The refusal, or ''; results are in ``folder/a``."""
        item = FusionDataset([{"case": "a", "image": [str(path) for path in paths]}], self.preprocessing)[0]
        if "refused" not in item:
            item["pred"] = self.inferer(item["image"][None], self.network)[0]
            self.saver.output_dir = str(folder)
            item = self.postprocessing(item)
        log = CaseLog()
        log.add(item)
        return log.entries[0]["reason"] if log.entries[0]["status"] == "refused" else ""


@pytest.fixture(scope="module")
def rmr(rmr_bundle):
    bundle = Bundle(rmr_bundle, **SMALL_HEAD)
    bundle.saver.write = without_picture(bundle.saver)
    return bundle


def without_picture(saver):
    """The saver's method with a small figure: drawing is not what is tried here."""
    import matplotlib.figure

    from shared_networks.transforms import save_segmentation

    def write(*arguments):
        original = save_segmentation.quality_control_figure
        save_segmentation.quality_control_figure = lambda *a: matplotlib.figure.Figure(figsize=(1, 1))
        try:
            type(saver).write(saver, *arguments)
        finally:
            save_segmentation.quality_control_figure = original

    return write


@pytest.fixture(scope="module")
def gesenet(gesenet_bundle, random_network):
    return Bundle(gesenet_bundle, random_network, comparison=False)


def is_poor(values):
    """Whether a modality holds nothing that differs from the rest."""
    return values.astype(np.float32).min() == values.astype(np.float32).max()


@FEW
@given(case=cases())
def test_rmr_fusion(rmr, case):
    _, first, second = case
    with TemporaryDirectory() as folder:
        reason = rmr.run(write_pair(folder, case), folder)
        assert bool(reason) == (is_poor(first) or is_poor(second)), reason
        if reason:
            assert "every value is" in reason and not (Path(folder) / "a").exists()
            return
        fused, labels = (nib.load(Path(folder) / "a" / f"a_{name}.nii.gz") for name in ("fused", "seg"))
        for result in (fused, labels):
            assert result.shape == first.shape and np.array_equal(
                result.affine, nib.load(f"{folder}/a_first.nii.gz").affine
            )
        values = fused.get_fdata()
        assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1
        assert labels.get_data_dtype() == np.uint8 and np.asarray(labels.dataobj).max() <= 4
        report = json.loads((Path(folder) / "a" / "a_report.json").read_text(encoding="utf-8"))
        assert report["grid"]["shape"] == list(first.shape)


@FEW
@given(case=cases(longest=12))
def test_gesenet_volumes(gesenet, case):
    _, first, _ = case
    with TemporaryDirectory() as folder:
        reason = gesenet.run(write_pair(folder, case), folder)
        assert bool(reason) == is_poor(first), reason
        if reason:
            assert "the MRI is constant" in reason and not (Path(folder) / "a").exists()
            return
        fused, source = nib.load(Path(folder) / "a" / "a_fused.nii.gz"), nib.load(f"{folder}/a_first.nii.gz")
        assert fused.shape == source.shape == first.shape and np.array_equal(fused.affine, source.affine)
        values = fused.get_fdata()
        assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1


@FEW
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    depth=st.sampled_from([8, 16]),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**16),
)
def test_gesenet_pictures(gesenet, height, width, depth, channels, seed):
    random = np.random.default_rng(seed)
    kind = np.uint8 if depth == 8 else np.uint16
    mri = random.integers(0, 2**depth, (height, width)).astype(kind)
    other = random.integers(0, 256, (height, width, channels)).astype(np.uint8)
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / "m.png", Path(folder) / "o.png"]
        Image.fromarray(mri).save(paths[0])
        Image.fromarray(other[..., 0] if channels == 1 else other).save(paths[1])
        reason = gesenet.run(paths, folder)
        assert bool(reason) == is_poor(mri), reason
        if not reason:
            path = Path(folder) / "a" / "a_fused.png"
            result = read_source(path)
            assert result.values.shape == (height, width) and result.bit_depth == depth
            assert path.read_bytes()[25] == (2 if channels == 3 else 0)  # the colour type of a PNG
            assert result.values.min() >= 0 and result.values.max() <= 1


@settings(FEW, max_examples=60)
@given(case=cases(longest=9))
def test_loader_puts_every_range_into_zero_to_one(case):
    affine, first, _ = case
    with TemporaryDirectory() as folder:
        item = FusionDataset([{"image": [str(path) for path in write_pair(folder, case)]}], LoadModalitiesd())[0]
    if "refused" in item:
        return
    image = item["image"].as_tensor()
    assert image.shape == (2, *first.shape) and torch.isfinite(image).all()
    assert image.min() >= 0 and image.max() <= 1
    assert not image[:, item["brain"][0] == 0].any()
    assert np.allclose(item["image"].affine, affine, atol=1e-4)
