"""HyperDenseNet: weights, reach, paths, and the same values as the published form with two separate paths."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv3d, prelu

from shared_networks.nets import HyperDenseNet


def test_weights_of_the_published_widths():
    with torch.device("meta"):
        network = HyperDenseNet(2, 4)
    kernels = [parameter.numel() for parameter in network.layers.parameters() if parameter.ndim == 5]
    # Each path: 27 weights for each pair of a filter and a map that it sees.
    widths, seen, expected = (25, 25, 25, 50, 50, 50, 75, 75, 75), 1, []
    for index, width in enumerate(widths):
        expected.append(2 * 27 * width * seen)
        seen = 2 * sum(widths[: index + 1])
    assert kernels == expected
    assert sum(kernels) == 9_518_850
    sizes = [parameter.shape[:2] for parameter in network.classifier.parameters() if parameter.ndim == 5]
    assert sizes == [(400, 900), (200, 400), (150, 200), (4, 150)]


def test_reaches_one_voxel_further_with_each_layer_and_mixes_modalities_after_the_first():
    torch.manual_seed(0)
    network = HyperDenseNet(2, 3, widths=(2, 3, 2, 2), classifier=(4,), norm=None).double()
    x = torch.rand(1, 2, 15, 3, 3, dtype=torch.float64)
    changed = x.clone()
    changed[:, 1, 7] += 1
    with torch.no_grad():
        reached = (network(changed) - network(x)).abs().amax((0, 1, 3, 4)) > 0
        first = (network.layers[0](changed) - network.layers[0](x)).abs().amax((0, 2, 3, 4)) > 0
    assert reached.tolist() == [abs(position - 7) <= 4 for position in range(15)]
    assert first.tolist() == [False, False, True, True]


def test_equals_two_paths_with_orders_of_their_own_and_maps_given_to_the_classifier_twice():
    torch.manual_seed(0)
    widths = (2, 3, 2)
    network = HyperDenseNet(2, 3, widths=widths, classifier=(4,), norm=None).double()
    x = torch.rand(1, 2, 6, 5, 4, dtype=torch.float64)

    def activate(values, layer):
        return prelu(values, layer.adn.A.weight)

    outputs = []  # maps in the order in which the network has them, path by path within a layer
    for index, (layer, width) in enumerate(zip(network.layers, widths, strict=True)):
        paths = []
        for path in range(2):
            rows = slice(path * width, (path + 1) * width)
            weight, bias = layer.conv.weight[rows], layer.conv.bias[rows]
            if index == 0:
                paths.append(activate(conv3d(x[:, path : path + 1], weight, bias, padding=1), layer))
                continue
            order = torch.randperm(weight.shape[1])
            seen = torch.cat(outputs, 1)[:, order]
            paths.append(activate(conv3d(seen, weight[:, order], bias, padding=1), layer))
        outputs += paths
    hidden, last = network.classifier
    order, share = torch.randperm(14), torch.rand_like(hidden.conv.weight)
    maps = torch.cat(outputs, 1)
    twice = torch.cat([maps, maps[:, order]], 1)
    weights = torch.cat([share, (hidden.conv.weight - share)[:, order]], 1)
    expected = last(activate(conv3d(twice, weights, hidden.conv.bias), hidden))
    assert torch.allclose(network(x), expected, atol=1e-12)


def test_every_parameter_learns():
    torch.manual_seed(0)
    network = HyperDenseNet(2, 2, widths=(2, 2, 2), classifier=(4, 3))
    (network(torch.rand(1, 2, 6, 5, 7)) * torch.rand(1, 2, 6, 5, 7)).sum().backward()
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv3d)]
    assert len(weights) == 6 and all(weight.grad.abs().sum() > 0 for weight in weights)


def test_channels_are_shared_out():
    assert HyperDenseNet(16, 5, widths=(4, 4), classifier=(8,))(torch.rand(1, 16, 5, 4, 3)).shape == (1, 5, 5, 4, 3)
    with pytest.raises(ValueError, match="multiple of paths, got 3 and 2"):
        HyperDenseNet(3, 2)
