"""The released checkpoint: every key accounted for, and the official pictures reproduced."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks.convert import convert_gesenet_checkpoint, convert_gesenet_state_dict, main
from shared_networks.errors import InputError
from shared_networks.nets import GeSeNet
from shared_networks.transforms import FuseColourd, LoadFusionPaird

DATA = os.environ.get("FUSION_DATA_DIR", "")
OFFICIAL = Path(DATA) / "gesenet_official"
needs_data = pytest.mark.skipif(
    not DATA or not OFFICIAL.is_dir(), reason="FUSION_DATA_DIR holds no gesenet_official folder"
)


@pytest.fixture(scope="module")
def released() -> dict:
    if not OFFICIAL.is_dir():
        pytest.skip("FUSION_DATA_DIR holds no gesenet_official folder")
    return torch.load(OFFICIAL / "model" / "GeSeNet.pth", map_location="cpu", weights_only=True)


@needs_data
def test_every_key_is_used_or_listed(released):
    state, unused = convert_gesenet_state_dict(released)
    assert sorted(unused) == sorted(key for key in released if key.startswith("decoder1.bn."))
    assert len(unused) == 5
    assert len(state) + len(unused) == len(released)
    GeSeNet().load_state_dict(state, strict=True)
    assert sum(value.numel() for value in state.values()) == 240_585


@needs_data
def test_missing_and_surplus_keys_are_refused(released):
    without_stem = {name: value for name, value in released.items() if name != "vis_conv.conv.weight"}
    with pytest.raises(InputError, match=r"missing tensors: other\.stem\.0\.weight"):
        convert_gesenet_state_dict(without_stem)
    with pytest.raises(InputError, match="surplus"):
        convert_gesenet_state_dict({**released, "surplus": torch.zeros(1)})


def test_unreadable_checkpoint_leaves_nothing(tmp_path):
    (tmp_path / "bad.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"bad\.pth"):
        convert_gesenet_checkpoint(str(tmp_path / "bad.pth"), str(tmp_path / "out.pt"))
    assert not (tmp_path / "out.pt").exists()


@needs_data
def test_command_writes_loadable_weights(tmp_path):
    out = tmp_path / "released.pt"
    main(["gesenet", str(OFFICIAL / "model" / "GeSeNet.pth"), str(out)])
    GeSeNet().load_state_dict(torch.load(out, weights_only=True), strict=True)


@needs_data
@pytest.mark.parametrize("modality", ["CT", "PET", "SPECT"])
@pytest.mark.parametrize("name", ["1", "2"])
@torch.no_grad()
def test_official_pictures(released, modality, name):
    """Hard masks and the released output rule against the authors' published results (which carry Gumbel noise)."""
    network = GeSeNet().eval()
    network.load_state_dict(convert_gesenet_state_dict(released)[0])
    folder = OFFICIAL / "test_images" / f"MRI_{modality}"
    pair = [str(folder / source / f"{name}.png") for source in ("MRI", modality)]
    item = LoadFusionPaird(keys="image")({"case": name, "modality": modality, "image": pair})
    item["pred"] = network(item["image"].as_tensor()[None])[0]
    picture = FuseColourd(keys="pred", stretch=True)(item)["fused"]
    # Truncation of the stretched picture is part of the rule; pictures are stored as columns and rows.
    ours = np.floor(picture.expand(3, -1, -1).permute(1, 2, 0).double().numpy() * 255 + 1e-4)
    theirs = np.asarray(Image.open(OFFICIAL / "results" / f"MRI_{modality}" / f"{name}.png").convert("RGB"), np.float64)
    assert 10 * np.log10(255**2 / np.mean((ours - theirs) ** 2)) >= 46
    assert np.abs(ours - theirs).mean() <= 0.7
