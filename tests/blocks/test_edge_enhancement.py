"""Edge enhancement: Sobel at the start, and closed forms of Eq. 1."""

import torch
import torch.nn.functional as F

from shared_networks.blocks.edge_enhancement import EdgeEnhancement, GradientFilter
from shared_networks.blocks.gradients import sobel_gradient_magnitude


def test_gradient_filter_starts_as_sobel_and_is_trainable():
    image = torch.rand(2, 5, 9, 8)
    gradient = GradientFilter(5)
    inner = gradient(image)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(inner, sobel_gradient_magnitude(image)[:, :, 1:-1, 1:-1])
    assert sorted(name for name, parameter in gradient.named_parameters() if parameter.requires_grad) == [
        "horizontal.weight",
        "vertical.weight",
    ]


def test_only_the_gradient_is_left_when_the_dense_projection_is_zero():
    module = EdgeEnhancement(2, 3)
    with torch.no_grad():
        for parameter in (*module.dense_projection.parameters(), module.gradient_projection.bias):
            parameter.zero_()
        module.gradient_projection.weight.fill_(-1.0)
    image = torch.rand(1, 2, 8, 8)
    total = sobel_gradient_magnitude(image).sum(dim=1, keepdim=True).expand(1, 3, 8, 8)[:, :, 1:-1, 1:-1]
    torch.testing.assert_close(module(image)[:, :, 1:-1, 1:-1], -0.1 * total)


def test_dense_connections_see_all_earlier_features():
    """Against the definition with concatenations, in float64."""
    torch.manual_seed(0)
    module = EdgeEnhancement().double()
    image = torch.randn(2, 16, 6, 5, dtype=torch.float64)
    first = F.leaky_relu(module.dense1(image), 0.2)
    second = F.leaky_relu(module.dense2(torch.cat([image, first], 1)), 0.2)
    dense = module.dense_projection(torch.cat([image, first, second], 1))
    gradient = module.gradient_projection(module.gradient_filter(image))
    torch.testing.assert_close(module(image), F.leaky_relu(dense + gradient, 0.1), rtol=1e-12, atol=1e-12)
