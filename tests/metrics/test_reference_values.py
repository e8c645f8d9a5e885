"""The published table: the released weights on the paper's own test pairs, by the ``"paper"`` definitions."""

import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks import metrics
from shared_networks.convert import convert_gesenet_state_dict
from shared_networks.io.colour import rgb_to_ycbcr
from shared_networks.nets.gesenet import GeSeNet
from shared_networks.nets.simple_fusion import MaximumFusion
from shared_networks.transforms import FuseColourd

CLASSES = {
    "SSIM": metrics.MultiExposureSSIMMetric,
    "SD": metrics.StandardDeviationMetric,
    "MI": metrics.MutualInformationMetric,
    "VIF": metrics.VisualInformationFidelityMetric,
    "SCD": metrics.CorrelationOfDifferencesMetric,
    "Qabf": metrics.EdgePreservationMetric,
}
RELEASED = {
    "CT": {"SSIM": 0.948, "SD": 10.047, "MI": 3.387, "VIF": 0.711, "SCD": 1.406, "Qabf": 0.677},
    "PET": {"SSIM": 0.954, "SD": 8.774, "MI": 2.853, "VIF": 0.821, "SCD": 1.640, "Qabf": 0.713},
    "SPECT": {"SSIM": 0.976, "SD": 8.584, "MI": 2.831, "VIF": 0.837, "SCD": 1.490, "Qabf": 0.744},
}
# Where the plain maximum of the sources is better than the released network.
MAXIMUM_WINS = {
    "CT": {"SD", "MI", "VIF", "SCD"},
    "PET": {"SD", "MI", "VIF", "SCD", "Qabf"},
    "SPECT": {"SD", "MI", "VIF"},
}
# The network takes about half a second a pair: all 21 CT pairs always, the other modalities in the full run.
MODALITIES = ["CT", pytest.param("PET", marks=pytest.mark.full), pytest.param("SPECT", marks=pytest.mark.full)]


def read_pairs(folder):
    """Luminance N x 2 x H x W and chroma N x 2 x H x W of all pairs of a modality."""
    images, chromas = [], []
    for mri_path in sorted((folder / "mri").iterdir()):
        mri = torch.from_numpy(np.array(Image.open(mri_path).convert("L"))) / 255
        rgb = torch.from_numpy(np.array(Image.open(folder / "other" / mri_path.name).convert("RGB"))) / 255
        luminance, chroma = rgb_to_ycbcr(rgb.permute(2, 0, 1))
        images.append(torch.cat([mri[None], luminance]))
        chromas.append(chroma)
    return torch.stack(images), torch.stack(chromas)


def score(fused, images):
    values = {}
    for name, metric_class in CLASSES.items():
        metric = metric_class("paper")
        for f, i in zip(fused.split(16), images.split(16), strict=True):
            metric(y_pred=f, y=i)
        values[name] = metric.aggregate().item()
    return values


@pytest.fixture(scope="session")
def released_network(data_dir):
    """GeSeNet with the weights that its authors released."""
    path = data_dir / "gesenet_official" / "model" / "GeSeNet.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    weights, _ = convert_gesenet_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network = GeSeNet().eval()
    network.load_state_dict(weights)
    return network


@pytest.fixture(scope="session")
def benchmark(data_dir):
    """Function modality -> images and chroma of the benchmark, read once."""
    pairs = {}

    def read(modality):
        folder = data_dir / "harvard_benchmark" / modality
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there")
        if modality not in pairs:
            pairs[modality] = read_pairs(folder)
        return pairs[modality]

    return read


@pytest.mark.parametrize("modality", MODALITIES)
def test_released_weights_score_the_published_values(released_network, benchmark, modality):
    images, chromas = benchmark(modality)
    # Scored as the authors saved: chroma copied, clipped, stretched, truncated to 8 bit; then luminance again.
    colour = FuseColourd("pred", stretch=True)
    fused = []
    with torch.inference_mode():
        for image, chroma in zip(images, chromas, strict=True):
            picture = colour({"pred": released_network(image[None])[0], "chroma": chroma})["fused"]
            fused.append(rgb_to_ycbcr(picture.expand(3, -1, -1))[0])
    values = score(torch.stack(fused), images)
    for name, expected in RELEASED[modality].items():
        # Published with three decimals.
        assert values[name] == pytest.approx(expected, rel=5e-4, abs=5e-4), name


@pytest.mark.parametrize("modality", list(RELEASED))
def test_maximum_beats_the_released_weights_where_known(benchmark, modality):
    images, _ = benchmark(modality)
    values = score(MaximumFusion()(images), images)
    assert {name for name, released in RELEASED[modality].items() if values[name] > released} == MAXIMUM_WINS[modality]
