"""The released checkpoint: every key accounted for. Its pictures are those of ``bundles/test_gesenet_inference.py``."""

import os
from pathlib import Path

import pytest
import torch

from shared_networks.convert import convert_gesenet_checkpoint, convert_gesenet_state_dict, main
from shared_networks.errors import InputError
from shared_networks.nets import GeSeNet

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
