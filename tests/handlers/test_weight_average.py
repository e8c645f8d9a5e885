"""The mean of the weights in closed form; frozen weights stay as they are."""

import pytest
import torch
from ignite.engine import Engine

from shared_networks.handlers import WeightAverage


def trained(network, handler, values):
    """Run one iteration for every value, which the trained weight takes in it."""

    def step(engine, value):
        with torch.no_grad():
            network[0].weight.fill_(value)

    engine = Engine(step)
    handler.attach(engine)
    engine.run(values)


@pytest.fixture
def network():
    network = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(2))
    network[1].requires_grad_(False)
    return network


def test_the_mean_follows_its_recursion(network):
    handler = WeightAverage(network, momentum=0.5)
    with torch.no_grad():
        network[0].weight.fill_(8.0)  # loaded after the handler was made
    trained(network, handler, [1.0, 2.0, 3.0])
    mean = 8.0
    for count, value in enumerate([1.0, 2.0, 3.0]):
        keep = min(0.5, (1 + count) / (10 + count))
        mean = keep * mean + (1 - keep) * value
    assert handler.average[0].weight.item() == pytest.approx(mean)
    assert not handler.average.training and not any(p.requires_grad for p in handler.average.parameters())


def test_frozen_weights_and_buffers_are_those_of_the_network(network):
    handler = WeightAverage(network, momentum=0.9)
    with torch.no_grad():
        network[1].weight.mul_(1.2345678)
        network[2].running_mean.fill_(0.3)
    trained(network, handler, [1.0] * 20)
    assert torch.equal(handler.average[1].weight, network[1].weight)
    assert torch.equal(handler.average[2].running_mean, network[2].running_mean)


def test_a_resumed_mean_goes_on(network):
    means = []
    for parts in ([[1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0], [3.0, 4.0]]):
        state = None
        with torch.no_grad():
            network[0].weight.fill_(5.0)
        for values in parts:
            handler = WeightAverage(network, momentum=0.9)
            if state:
                handler.load_state_dict(state)
            trained(network, handler, values)
            state = handler.state_dict()
        means.append(handler.average[0].weight.item())
    assert means[0] == means[1]


def test_momentum_is_checked(network):
    with pytest.raises(ValueError, match=r"momentum must be in \[0, 1\)"):
        WeightAverage(network, momentum=1.0)
