"""One encoding, every voxel predicted, the same result as the whole network; what happens to other networks."""

import logging
import math

import pytest
import torch
from monai.data import MetaTensor
from monai.networks.nets import SwinUNETR
from torch import nn

from shared_networks.errors import InputError
from shared_networks.inferers import EncodeOnceInferer
from shared_networks.nets import RMRFusionNet, SemanticHeadOnly


class VoxelNetwork(nn.Module):
    """Every output voxel depends on one input voxel, so tiling must not change anything. Notes what it was given."""

    def __init__(self):
        super().__init__()
        self.encoded, self.decoded, self.windows = [], [], []

    def encode_fuse(self, image):
        self.encoded.append(tuple(image.shape))
        return torch.cat([image, image[:, :1] * image[:, 1:], image.new_ones(image[:, :1].shape)], dim=1)

    def semantic_head(self, features):
        self.windows.append(tuple(features.shape))
        return torch.cat([features[:, 3:], features[:, 2:3] - 0.5, features[:, :1] ** 2], dim=1)

    def decode(self, features):
        self.decoded.append(tuple(features.shape))
        return features[:, :2].mean(1, keepdim=True) * 3

    def forward(self, image):
        features = self.encode_fuse(image)
        return torch.cat([self.semantic_head(features), self.decode(features)], dim=1)


class ThirdNetwork(VoxelNetwork):
    """Logits of 1/3 as a convolution under autocast would return them."""

    def semantic_head(self, features):
        return torch.full_like(features[:, :1], 1 / 3).bfloat16()


def swin_network():
    torch.manual_seed(0)
    head = SwinUNETR(in_channels=16, out_channels=3, feature_size=12, depths=(1, 1, 1, 1))
    return RMRFusionNet(head).eval()


@pytest.mark.parametrize("size", [(20, 17, 9), (8, 30, 1), (1, 1, 1)])
@pytest.mark.parametrize("roi_size", [(8, 8, 8), (8, -1, 4), (64, 64, 64)])
def test_every_voxel_is_predicted_and_encoded_once(size, roi_size):
    image, network = torch.rand(2, 2, *size), VoxelNetwork()
    output = EncodeOnceInferer(roi_size, sw_batch_size=3)(image, network)
    assert torch.allclose(output, VoxelNetwork()(image), atol=1e-5)
    assert network.encoded == [(2, 2, *size)] and network.decoded == [(2, 4, *size)]
    window = tuple(min(roi if roi > 0 else length, length) for roi, length in zip(roi_size, size, strict=True))
    assert {shape[2:] for shape in network.windows} == {window}
    assert max(shape[0] for shape in network.windows) <= 3


def test_a_window_over_the_whole_volume_is_the_network():
    network, image = swin_network(), torch.rand(1, 2, 31, 17, 5)
    with torch.no_grad():
        expected = network(image)
        assert torch.allclose(EncodeOnceInferer((32, 32, 32))(image, network), expected, atol=1e-5)
        slid = EncodeOnceInferer((16, -1, -1))(image, network)
    assert slid.shape == expected.shape
    # Windows change what the head sees, not the fused volume.
    assert torch.equal(slid[:, -1], expected[:, -1])
    assert not torch.allclose(slid[:, :-1], expected[:, :-1], atol=1e-3)


def test_bfloat16_computes_in_it_and_blends_in_the_precision_of_the_input():
    network, image = swin_network(), torch.rand(1, 2, 31, 17, 5)
    with torch.no_grad():
        exact = EncodeOnceInferer((32, 32, 32))(image, network)
        lower = EncodeOnceInferer((32, 32, 32), cpu_bfloat16=True)(image, network)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(EncodeOnceInferer((32, 32, 32))(image, network), lower)
        # Two windows with the same logits: rounded once by the network, and not again by the blending.
        slid = EncodeOnceInferer((16, 1, 1), cpu_bfloat16=True)(torch.rand(1, 2, 24, 1, 1), ThirdNetwork())
    assert lower.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    # A value has 8 bits; after so many layers an error of some units in the last place is left.
    assert 1e-4 < (lower - exact).abs().max() < 0.05 * exact.abs().max()
    assert torch.allclose(slid[:, 0], torch.tensor(1 / 3).bfloat16().float().expand_as(slid[:, 0]), atol=1e-6)


def test_windows_are_weighted_towards_their_middle():
    class Position(VoxelNetwork):
        """Says 1 in the first half of a window and 0 in the second."""

        def semantic_head(self, features):
            output = torch.zeros_like(features[:, :1])
            output[:, :, :4] = 1
            return output

    output = EncodeOnceInferer((8, 1, 1), overlap=0.5)(torch.rand(1, 2, 12, 1, 1), Position())[0, 0, :, 0, 0]
    # Voxels 4..7 lie in the second half of the first window and in the first half of the second one, voxel 4 nearer to
    # the middle of the first.
    assert output[:4].tolist() == [1] * 4 and output[8:].tolist() == [0] * 4
    assert (output[4:8].diff() > 0).all() and output[4] < 0.1 and output[7] > 0.9
    assert torch.allclose(output[4:8] + output[4:8].flip(0), torch.ones(4), atol=1e-5)


@pytest.mark.parametrize("most", [100_000, 150_000])
def test_large_volumes_are_encoded_in_overlapping_blocks(most):
    image, network = torch.rand(1, 2, 90, 61, 30), VoxelNetwork()
    output = EncodeOnceInferer((40, 40, 40), encode_max_voxels=most)(image, network)
    assert torch.allclose(output, VoxelNetwork()(image), atol=1e-5)
    assert len(network.encoded) > 1 and len(network.decoded) > 1
    assert max(math.prod(shape[2:]) for shape in network.encoded + network.decoded) <= most


def test_blocks_of_a_real_network_hardly_differ_from_the_whole():
    network = swin_network()
    for module in network.autoencoder.modules():
        if hasattr(module, "relative_position_bias_table"):
            torch.nn.init.normal_(module.relative_position_bias_table, std=0.5)
    image = torch.nn.functional.avg_pool3d(torch.rand(1, 2, 80, 14, 14), 5, 1, 2)
    with torch.no_grad():
        whole = network.encode_fuse(image)
        blocks = EncodeOnceInferer()._in_blocks(image, network.encode_fuse, 12_000, image.device)
    difference = (blocks - whole).square().mean((0, 1, 3, 4)).sqrt() / whole.std()
    # Blocks of 56 overlap from voxel 28 to 56; the rest is seen by one block, far from its cut.
    assert 1e-4 < difference.max() < 0.05
    assert difference[:8].max() < 1e-4 and difference[-6:].max() < 1e-4


def test_metadata_and_precision_are_kept():
    affine = torch.diag(torch.tensor([2.0, 3, 4, 1], dtype=torch.float64))
    image = MetaTensor(torch.rand(1, 2, 5, 6, 7, dtype=torch.float64), affine=affine)
    output = EncodeOnceInferer((4, 4, 4))(image, VoxelNetwork())
    assert isinstance(output, MetaTensor) and torch.equal(output.affine, affine)
    assert output.dtype == torch.float64
    assert not isinstance(EncodeOnceInferer()(image.as_tensor(), VoxelNetwork()), MetaTensor)


def test_windows_are_blended_in_full_precision_under_autocast():
    image = torch.rand(1, 2, 32, 14, 14)
    network = SemanticHeadOnly(nn.Conv3d(2, 3, 1), head_divisor=1)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert network.semantic_head(image).dtype == torch.bfloat16
        assert EncodeOnceInferer((8, 8, 8))(image, network).dtype == torch.float32


def test_distributed_networks_are_unwrapped(tmp_path):
    network, image = VoxelNetwork(), torch.rand(1, 2, 6, 6, 6)
    network.weight = nn.Parameter(torch.zeros(1))
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        output = EncodeOnceInferer((4, 4, 4))(image, nn.parallel.DistributedDataParallel(network))
    finally:
        torch.distributed.destroy_process_group()
    assert torch.allclose(output, VoxelNetwork()(image), atol=1e-5)
    assert len(network.encoded) == 1 and len(network.windows) > 1


def test_a_traced_network_gets_an_ordinary_sliding_window(caplog):
    class Plain(nn.Module):
        def forward(self, image):
            return torch.cat([image[:, :1] * 2, image[:, 1:] - 1], dim=1)

    traced = torch.jit.trace(Plain(), torch.rand(1, 2, 8, 8, 8))
    image = torch.rand(1, 2, 19, 8, 3)
    with caplog.at_level(logging.INFO, logger="EncodeOnceInferer"):
        output = EncodeOnceInferer((8, 8, 8))(image, traced)
    assert torch.allclose(output, Plain()(image), atol=1e-5)
    assert "sliding a window over the whole network" in caplog.text


def test_arguments_are_passed_to_other_networks():
    output = EncodeOnceInferer((4, 4, 4))(torch.rand(1, 2, 4, 4, 4), lambda x, by, plus: x * by + plus, 0, plus=7)
    assert torch.allclose(output, torch.full((1, 2, 4, 4, 4), 7.0))


def test_head_alone_is_slid_too():
    torch.manual_seed(0)
    network, image = SemanticHeadOnly(nn.Conv3d(2, 3, 1), head_divisor=4), torch.rand(1, 2, 9, 10, 11)
    with torch.no_grad():
        assert torch.allclose(EncodeOnceInferer((4, 4, 4))(image, network), network(image), atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"overlap": 1}, "overlap must be at least 0 and below 1, got 1."),
        ({"overlap": -0.1}, "overlap must be at least 0 and below 1, got -0.1."),
        ({"overlap": "half"}, "overlap must be a number, got 'half'."),
        ({"overlap": [0.5]}, "overlap must be a number, got [0.5]."),
        ({"memory_limit_gb": "2"}, "memory_limit_gb must be a number, got '2'."),
        ({"memory_limit_gb": -1}, "memory_limit_gb must be at least 0, got -1."),
        ({"roi_size": [64, 64]}, "roi_size must be a list of 3 numbers, got [64, 64]."),
        ({"roi_size": [64, 64, 1.5]}, "roi_size must be a whole number, got 1.5."),
        ({"sw_batch_size": "a"}, "sw_batch_size must be a whole number, got 'a'."),
        ({"sw_batch_size": 0}, "sw_batch_size must be at least 1, got 0."),
        ({"encode_max_voxels": 0}, "encode_max_voxels must be at least 1, got 0."),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_any_volume(keys, said):
    with pytest.raises(InputError) as refusal:
        EncodeOnceInferer(**keys)
    assert str(refusal.value) == said
