import torch

from shared_networks.nets import LaplacianPyramidFusion, SliceWiseFusion


def test_every_slice_is_fused_by_itself():
    volumes = torch.rand(2, 2, 33, 20, 5, generator=torch.Generator().manual_seed(0))
    pictures = LaplacianPyramidFusion()
    fused = SliceWiseFusion(pictures, slices_at_once=3)(volumes)
    assert fused.shape == (2, 1, 33, 20, 5)
    for index in range(5):
        assert torch.allclose(fused[..., index], pictures(volumes[..., index]), atol=1e-6)
