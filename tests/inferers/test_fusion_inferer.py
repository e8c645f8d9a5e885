"""Slices of a volume give what they give as pictures; the network never sees more than asked."""

import pytest
import torch
from monai.data import MetaTensor

from shared_networks.errors import InputError
from shared_networks.inferers import FusionInferer
from shared_networks.nets import GeSeNet


class Recorder(torch.nn.Module):
    """Per-pixel rule with a mask channel, that notes what it was given."""

    def __init__(self, most=10**6):
        super().__init__()
        self.shapes, self.most = [], most

    def forward(self, x, return_masks=False):
        self.shapes.append(tuple(x.shape))
        if x.shape[0] > self.most:
            raise torch.cuda.OutOfMemoryError("full")
        fused = (x[:, :1] * 0.25 + x[:, 1:] * 0.5) * (1 + torch.arange(x.shape[-1]))
        return torch.cat([fused, x.round()], dim=1) if return_masks else fused


@pytest.mark.parametrize("spatial_dim", [0, 1, 2])
@pytest.mark.parametrize("return_masks", [False, True])
def test_volume_equals_its_slices(spatial_dim, return_masks):
    volume = torch.rand(2, 2, 6, 7, 9)
    network = Recorder()
    output = FusionInferer(spatial_dim, sw_batch_size=4, return_masks=return_masks)(volume, network)
    expected = torch.stack([Recorder()(part, return_masks) for part in volume.unbind(spatial_dim + 2)], spatial_dim + 2)
    assert torch.equal(output, expected)
    slice_shape = tuple(length for axis, length in enumerate((6, 7, 9)) if axis != spatial_dim)
    assert all(shape[2:] == slice_shape and shape[0] <= 4 for shape in network.shapes)
    assert sum(shape[0] for shape in network.shapes) == 2 * (6, 7, 9)[spatial_dim]


@pytest.mark.parametrize("thin", [0, 1, 2])
def test_a_single_slice_is_cut_as_it_is(thin):
    """A sagittal slice, 1 x Y x Z, is one picture and not Z pictures of a line each."""
    picture = torch.rand(1, 2, 7, 9)
    network = Recorder()
    output = FusionInferer(spatial_dim=2)(picture.unsqueeze(thin + 2), network)
    assert torch.equal(output, Recorder()(picture).unsqueeze(thin + 2)) and network.shapes == [(1, 2, 7, 9)]


def test_gesenet_on_odd_slices():
    torch.manual_seed(0)
    network = GeSeNet().eval()
    volume = torch.rand(1, 2, 13, 5, 11)
    with torch.no_grad():
        output = FusionInferer(1, sw_batch_size=2, return_masks=True)(volume, network)
        expected = torch.stack([network(volume[:, :, :, index], True) for index in range(5)], dim=3)
    assert output.shape == (1, 3, 13, 5, 11)
    assert torch.allclose(output, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 2, 5, 7), (3, 2, 8, 8), (1, 2, 1, 1)])
def test_pictures_go_through_at_once(shape):
    x, network = torch.rand(shape), Recorder()
    assert torch.equal(FusionInferer(sw_batch_size=1)(x, network), Recorder()(x))
    assert network.shapes == [shape]


def test_one_slice():
    volume = torch.rand(1, 2, 6, 7, 1)
    assert torch.equal(FusionInferer()(volume, Recorder()), Recorder()(volume[..., 0])[..., None])


def test_metadata_is_kept():
    affine = torch.diag(torch.tensor([2.0, 3, 4, 1], dtype=torch.float64))
    image = MetaTensor(torch.rand(1, 2, 4, 4, 4), affine=affine)
    output = FusionInferer()(image, Recorder())
    assert isinstance(output, MetaTensor) and torch.equal(output.affine, affine)
    assert not isinstance(FusionInferer()(image.as_tensor(), Recorder()), MetaTensor)


def test_memory_too_small_for_one_is_an_error():
    for shape in ((2, 2, 4, 4), (1, 2, 4, 4, 3)):
        with pytest.raises(torch.cuda.OutOfMemoryError):
            FusionInferer()(torch.rand(shape), Recorder(most=0))


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="spatial_dim must be 0, 1 or 2, got 3"):
        FusionInferer(3)
    with pytest.raises(ValueError, match="sw_batch_size must be at least 1, got 0"):
        FusionInferer(sw_batch_size=0)
    for limit in ("2", [2], -1):
        with pytest.raises(InputError, match="memory_limit_gb must be "):
            FusionInferer(memory_limit_gb=limit)
