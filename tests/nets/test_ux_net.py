"""3D UX-Net: published size, scales of its stages, reach of its kernels."""

import io

import pytest
import torch

from shared_networks.nets import UXNet3D


def test_parameters_are_as_published():
    """53.0 M with one channel and the 14 classes of AMOS (paper, Table 1)."""
    with torch.device("meta"):
        network = UXNet3D(1, 14)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == 53.0


def test_stages_have_the_published_scales_and_widths():
    with torch.device("meta"):
        network, x = UXNet3D(16, 5), torch.rand(1, 16, 96, 64, 32)
        shapes = []
        for stage in network.stages:
            x = stage(x)
            shapes.append(tuple(x.shape[1:]))
        assert network(torch.rand(1, 16, 96, 64, 32)).shape == (1, 5, 96, 64, 32)
    expected = [(48 * 2**i, 96 // 2 ** (i + 1), 64 // 2 ** (i + 1), 32 // 2 ** (i + 1)) for i in range(4)]
    assert shapes == expected


def test_block_scales_channels_without_mixing_and_sees_its_kernel():
    torch.manual_seed(0)
    block = UXNet3D(1, 2, feature_size=4).stages[0][1]
    x = torch.rand(1, 4, 15, 3, 3)
    changed = x.clone()
    changed[:, :, 7] += torch.rand(4, 1, 1)
    with torch.no_grad():
        reached = (block(changed) - block(x)).abs().amax(dim=(0, 1, 3, 4)) > 1e-6
        inside = block.scaling[1:]
        difference = (inside(x + torch.tensor([1.0, 0, 0, 0]).view(1, 4, 1, 1, 1)) - inside(x)).abs().amax((0, 2, 3, 4))
    assert reached.tolist() == [abs(position - 7) <= 3 for position in range(15)]
    assert difference[0] > 0 and difference[1:].max() == 0


def test_every_parameter_learns_and_tracing_gives_the_same():
    torch.manual_seed(0)
    network = UXNet3D(3, 2, feature_size=4, depths=(1, 1, 1, 1))
    x = torch.rand(1, 3, 32, 16, 16)
    (network(x) * torch.rand(1, 2, 32, 16, 16)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    network.eval()
    file = io.BytesIO()
    with torch.no_grad():
        torch.jit.save(torch.jit.trace(network, x), file)
        file.seek(0)
        y = torch.rand(1, 3, 32, 16, 16)
        assert torch.allclose(torch.jit.load(file)(y), network(y), atol=1e-5)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="four stages"):
        UXNet3D(1, 2, depths=(2, 2))
    with pytest.raises(ValueError, match="odd, got 4"):
        UXNet3D(1, 2, kernel_size=4)
