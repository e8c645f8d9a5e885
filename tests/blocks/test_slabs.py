"""A volume in slabs is the volume in one piece, and less of it is there at a time."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from shared_networks.blocks import dense_fusion, swin_encoder
from shared_networks.blocks.dense_fusion import DenseFusion
from shared_networks.blocks.slabs import in_slabs
from shared_networks.blocks.swin_encoder import SwinEncoder


class Noting(nn.Module):
    """Two convolutions of 3, of a coarse tensor made twice as fine and added to a fine one; notes the sizes."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv3d(2, 3, 3, padding=1), nn.PReLU(3), nn.Conv3d(3, 2, 3, padding=1))
        self.seen = []

    def forward(self, coarse, fine):
        self.seen.append(int(fine.shape[2]))
        return self.layers(F.interpolate(coarse, scale_factor=2) + fine)


@pytest.mark.parametrize(
    ("voxels", "planes"),
    [(352, [22]), (351, [12, 14]), (96, [6, 10, 10, 8]), (1, [4, *[6] * 9, 4])],
)
def test_slabs_with_their_halo_are_the_whole(voxels, planes):
    coarse, fine, network = torch.rand(1, 2, 11, 2, 2), torch.rand(1, 2, 22, 4, 4), Noting()
    with torch.no_grad():
        whole = network.layers(F.interpolate(coarse, scale_factor=2) + fine)
        slabs = in_slabs(network, [coarse, fine], 11, halo=1, voxels=voxels)
    assert torch.allclose(slabs, whole, atol=1e-6)
    assert network.seen == planes


def test_halos_are_needed():
    coarse, fine, network = torch.rand(1, 2, 8, 2, 2), torch.rand(1, 2, 16, 4, 4), Noting()
    with torch.no_grad():
        difference = (in_slabs(network, [coarse, fine], 8, halo=0, voxels=128) - network(coarse, fine)).abs()
    # One cut in the middle, which two convolutions see from two planes on either side.
    assert (difference.amax((0, 1, 3, 4)) > 1e-4).nonzero().flatten().tolist() == [6, 7, 8, 9]


def test_gradients_and_exports_see_the_whole():
    coarse, fine, network = torch.rand(1, 2, 8, 2, 2), torch.rand(1, 2, 16, 4, 4), Noting()

    def slabs(*inputs):
        return in_slabs(network, inputs, 8, halo=1, voxels=16)

    slabs(coarse, fine).sum().backward()
    assert network.seen == [16] and network.layers[0].weight.grad.abs().min() > 0
    network.requires_grad_(False)
    with torch.no_grad():
        torch.jit.trace(slabs, (coarse, fine), check_trace=False)
    assert set(network.seen) == {16}


def test_a_gpu_computes_the_whole():
    volume = SimpleNamespace(shape=(1, 2, 8, 4, 4), device=torch.device("cuda"))
    with torch.no_grad():
        assert in_slabs(lambda x: x, [volume], 8, halo=1, voxels=16) is volume


@pytest.mark.parametrize(
    ("module", "channels", "part", "size"),
    [
        (swin_encoder, 1, "head", (41, 14, 9)),
        (swin_encoder, 1, "head", (18, 15, 14)),
        (dense_fusion, 32, "last", (40, 9, 8)),
    ],
)
def test_a_block_in_slabs_is_the_block(module, channels, part, size, monkeypatch):
    torch.manual_seed(0)
    block = (SwinEncoder() if module is swin_encoder else DenseFusion()).eval()
    image, slabs = torch.rand(2, channels, *size), []
    getattr(block, part).register_forward_pre_hook(lambda part, inputs: slabs.append(inputs[0]))
    with torch.no_grad():
        whole = block(image)
        monkeypatch.setattr(module, "_SLAB", 1200)
        cut = block(image)
    assert torch.allclose(cut, whole, atol=1e-5)
    assert len(slabs) > 2
