"""The pretended GPU and small data sets of both bundles."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks.nets import BilateralAttentionSegmenter
from tests.gpu.pretended_cuda import pretended_cuda


@pytest.fixture
def gpu():
    """The pretended device, there for the length of a test."""
    with pretended_cuda() as device:
        yield device


@pytest.fixture(scope="session")
def brains(write_rmr_case, tmp_path_factory):
    """Two cases to train with and one to validate, which is large enough for VIF."""
    folder = tmp_path_factory.mktemp("brains")
    for number in (0, 1):
        write_rmr_case(folder / "training" / f"s{number}", number)
    write_rmr_case(folder / "validation" / "s2", 2, shape=(44, 46, 10))
    return folder


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Smooth pairs of pictures of two modalities, 64 x 64, patient 2 to validate and to test with."""
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
    (folder / "datalist.json").write_text(json.dumps({"training": items, "test": items[1::2]}))
    return folder


@pytest.fixture(scope="session")
def semantic_checkpoint(tmp_path_factory):
    """Random weights of GeSeNet's semantic module."""
    path = tmp_path_factory.mktemp("semantic") / "semantic.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(BilateralAttentionSegmenter().state_dict(), path)
    return path
