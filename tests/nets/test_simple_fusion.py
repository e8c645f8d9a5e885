import io

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from shared_networks.nets import AverageFusion, LaplacianPyramidFusion, MaximumFusion, SliceWiseFusion, SourceAlone

SYMMETRIC = [AverageFusion(), MaximumFusion(), LaplacianPyramidFusion(), LaplacianPyramidFusion(levels=1)]
NETWORKS = [*SYMMETRIC, SourceAlone(channel=1)]


@pytest.fixture
def pair():
    return torch.rand(2, 2, 33, 46, generator=torch.Generator().manual_seed(0))


def test_average_maximum_and_source_alone_by_hand():
    image = torch.tensor([[[[0.0, 1.0]], [[0.5, 0.25]]]])
    assert AverageFusion()(image).tolist() == [[[[0.25, 0.625]]]]
    assert MaximumFusion()(image).tolist() == [[[[0.5, 1.0]]]]
    assert SourceAlone()(image).tolist() == [[[[0.0, 1.0]]]]
    assert SourceAlone(channel=1)(image).tolist() == [[[[0.5, 0.25]]]]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (33, 46), (64, 64)])
def test_equal_sources_come_back_at_any_size(network, size):
    source = torch.rand(3, 1, *size, generator=torch.Generator().manual_seed(1))
    fused = network(source.repeat(1, 2, 1, 1))
    assert fused.shape == (3, 1, *size)
    assert torch.allclose(fused, source, atol=1e-6)


@pytest.mark.parametrize("network", SYMMETRIC)
def test_result_does_not_depend_on_the_batch_or_the_order_and_stays_in_range(network, pair):
    fused = network(pair)
    assert torch.allclose(fused[1:], network(pair[1:]), atol=1e-6)
    assert torch.allclose(fused, network(pair.flip(1)), atol=1e-6)
    assert 0 <= fused.min() < fused.max() <= 1


@pytest.mark.parametrize("network", NETWORKS)
def test_torchscript_gives_the_same(network, pair):
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(network), file)
    file.seek(0)
    loaded = torch.jit.load(file)
    assert torch.equal(loaded(pair), network(pair))
    assert torch.equal(loaded(pair[:, :, 5:, 8:]), network(pair[:, :, 5:, 8:]))


@pytest.mark.parametrize("network", NETWORKS)
def test_there_is_nothing_to_train_or_to_store(network):
    assert not list(network.parameters())
    assert not network.state_dict()


def test_one_level_of_the_pyramid_equals_scipy(pair):
    kernel = np.array([1, 4, 6, 4, 1]) / 16

    def smooth(image):
        return correlate1d(correlate1d(image, kernel, axis=0, mode="nearest"), kernel, axis=1, mode="nearest")

    def spread(image):
        grid = np.zeros((33, 46))
        grid[::2, ::2] = image
        return correlate1d(correlate1d(grid, 2 * kernel, axis=0), 2 * kernel, axis=1)

    first, second = pair[0].double().numpy()
    coarse = [smooth(image)[::2, ::2] for image in (first, second)]
    details = [image - spread(small) for image, small in zip((first, second), coarse, strict=True)]
    detail = np.where(np.abs(details[0]) >= np.abs(details[1]), *details)
    expected = (spread((coarse[0] + coarse[1]) / 2) + detail).clip(0, 1)
    # Away from the border, where expanding a constant keeps it.
    fused = LaplacianPyramidFusion(levels=1)(pair[:1])[0, 0].numpy()
    assert np.abs(fused - expected)[3:-3, 3:-3].max() < 1e-6


def test_pyramid_keeps_the_texture_of_both_sources():
    generator = torch.Generator().manual_seed(2)
    texture = 0.2 * torch.rand(1, 1, 64, 64, generator=generator)
    first, second = torch.full((1, 1, 64, 64), 0.4), torch.full((1, 1, 64, 64), 0.4)
    first[..., :32] += texture[..., :32]
    second[..., 32:] += texture[..., 32:]
    fused = LaplacianPyramidFusion(levels=3)(torch.cat([first, second], dim=1))
    away_from_the_seam = [slice(0, 24), slice(40, 64)]
    for columns in away_from_the_seam:
        kept = torch.corrcoef(torch.stack([fused[..., columns].flatten(), texture[..., columns].flatten()]))[0, 1]
        assert kept > 0.97
        assert fused[..., columns].std() > 0.9 * texture[..., columns].std()


def test_no_level_is_refused():
    with pytest.raises(ValueError, match="levels"):
        LaplacianPyramidFusion(levels=0)


def test_every_slice_is_fused_by_itself():
    volumes = torch.rand(2, 2, 33, 20, 5, generator=torch.Generator().manual_seed(0))
    pictures = LaplacianPyramidFusion()
    fused = SliceWiseFusion(pictures, slices_at_once=3)(volumes)
    assert fused.shape == (2, 1, 33, 20, 5)
    for index in range(5):
        assert torch.allclose(fused[..., index], pictures(volumes[..., index]), atol=1e-6)
