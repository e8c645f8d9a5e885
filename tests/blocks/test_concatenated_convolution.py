"""A convolution of parts is the convolution of their concatenation."""

import pytest
import torch
import torch.nn.functional as F

from shared_networks.blocks.concatenated_convolution import convolve_concatenation


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("channels", [(4,), (1, 3), (2, 2, 5)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_equals_convolution_of_the_concatenation(kernel, channels, with_bias):
    torch.manual_seed(0)
    parts = [torch.rand(2, c, 6, 7, dtype=torch.float64) for c in channels]
    weight = torch.rand(3, sum(channels), kernel, kernel, dtype=torch.float64)
    bias = torch.rand(3, dtype=torch.float64) if with_bias else None
    expected = F.conv2d(torch.cat(parts, dim=1), weight, bias, padding=kernel // 2)
    torch.testing.assert_close(convolve_concatenation(parts, weight, bias), expected, rtol=1e-12, atol=1e-12)


def test_gradients_reach_every_part():
    parts = [torch.rand(1, 2, 5, 5, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    weight = torch.rand(2, 6, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda *inputs: convolve_concatenation(list(inputs[:3]), inputs[3], None), (*parts, weight)
    )
