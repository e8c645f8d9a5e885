"""Constants are made once for each size and device, and a recorded graph has its own."""

import pytest
import torch
from monai.networks.nets.swin_unetr import BasicLayer

from shared_networks.blocks.gradients import sobel_gradient_magnitude
from shared_networks.blocks.grouped_window_attention import GroupedBasicLayer, WindowMasks
from shared_networks.utils.constant_cache import cached_constants, forget_constants


@pytest.fixture
def made():
    """A cached function of a size and a type, and the list of its calls."""
    calls = []

    @cached_constants
    def ones(size, dtype, device):
        calls.append((size, dtype))
        return torch.ones(size, dtype=dtype, device=device)

    return ones, calls


def test_the_same_arguments_give_the_same_tensor_and_others_another(made):
    ones, calls = made
    cpu = torch.device("cpu")
    first = ones((2, 3), torch.float32, cpu)
    assert ones((2, 3), torch.float32, cpu) is first
    assert ones((2, 3), torch.float64, cpu).dtype == torch.float64 and ones((3, 2), torch.float32, cpu).shape == (3, 2)
    assert ones((2, 3), torch.float32, torch.device("meta")).device.type == "meta"
    assert len(calls) == 4
    forget_constants()
    assert ones((2, 3), torch.float32, cpu) is not first


def test_what_was_made_in_inference_mode_serves_a_training(made):
    ones, _ = made
    with torch.inference_mode():
        ones((2,), torch.float32, torch.device("cpu"))
    x = torch.ones(2, requires_grad=True)
    (x * ones((2,), torch.float32, torch.device("cpu"))).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_a_recorded_graph_neither_takes_nor_leaves_anything(made):
    ones, calls = made

    class Network(torch.nn.Module):
        def forward(self, x):
            return x + ones((2,), x.dtype, x.device)

    torch.jit.trace(Network(), torch.zeros(2), check_trace=False)
    exported = torch.export.export(Network(), (torch.zeros(2),)).module()
    assert exported(torch.zeros(2)).tolist() == [1, 1]
    before = len(calls)
    kept = ones((2,), torch.float32, torch.device("cpu"))
    assert len(calls) == before + 1 and type(kept) is torch.Tensor and kept.tolist() == [1, 1]


def test_window_masks_are_made_once_for_each_size(monkeypatch):
    forget_constants()
    calls, original = [], WindowMasks.of.__func__
    monkeypatch.setattr(WindowMasks, "of", classmethod(lambda cls, *a: calls.append(a[0]) or original(cls, *a)))
    stage = GroupedBasicLayer(BasicLayer(12, 4, 3, (4, 4, 4), [0.0] * 4, qkv_bias=True))
    small, large = torch.rand(1, 12, 8, 8, 8), torch.rand(1, 12, 12, 8, 8)
    first = stage(small)
    stage(large)
    assert torch.equal(stage(small), first)
    assert calls == [(8, 8, 8), (12, 8, 8)]
    forget_constants()


def test_sobel_kernels_follow_the_type_of_the_image():
    image = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    single, double = sobel_gradient_magnitude(image), sobel_gradient_magnitude(image.double())
    assert single.dtype == torch.float32 and double.dtype == torch.float64
    assert torch.allclose(single, double.float(), atol=1e-6)
