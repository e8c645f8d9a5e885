"""Switches of CUDA, and outputs that stay."""

import pytest
import torch
from torch import nn

from shared_networks.utils import own_outputs, set_backends


@pytest.fixture
def restored():
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    yield
    torch.set_float32_matmul_precision(before[0])
    cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before[1:]


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_on_or_off_for_convolutions_and_products_alike(tf32, restored):
    set_backends(tf32, cudnn_benchmark=tf32, deterministic=not tf32)
    assert torch.backends.cudnn.allow_tf32 is tf32 and torch.backends.cuda.matmul.allow_tf32 is tf32
    assert torch.get_float32_matmul_precision() == ("high" if tf32 else "highest")
    assert torch.backends.cudnn.benchmark is tf32 and torch.backends.cudnn.deterministic is not tf32


class Engine(nn.Module):
    """Writes every result into the same memory, as TensorRT does."""

    def __init__(self):
        super().__init__()
        self.memory = torch.zeros(2)

    def forward(self, x):
        return self.memory.copy_(x)


def test_outputs_of_a_network_or_of_a_part_stay_when_it_is_called_again():
    plain = Engine()
    first = plain(torch.ones(2))
    plain(torch.zeros(2))
    assert first.tolist() == [0, 0]
    network = own_outputs(nn.Sequential(Engine()), "0")
    first, second = network(torch.ones(2)), network(torch.zeros(2))
    assert first.tolist() == [1, 1] and second.tolist() == [0, 0]
    whole = own_outputs(Engine())
    first = whole(torch.ones(2))
    whole(torch.zeros(2))
    assert first.tolist() == [1, 1]
