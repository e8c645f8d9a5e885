"""The handler that scores images: what it puts into the output, when it warns, and when it does nothing."""

from types import SimpleNamespace

import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.engines import IterationEvents
from torch import nn

from shared_networks.handlers import ImageQuality
from shared_networks.metrics.image_quality import image_quality

LIMITS = {"noise": {"t1": 0.5}, "blur": {"t1": 0.9, "flair": 0.9}}


class Halving(nn.Module):
    """Gives half of the image; says in which mode it was."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))
        self.modes = []

    def forward(self, image):
        self.modes.append((self.training, torch.is_grad_enabled()))
        return self.weight * image


@pytest.fixture
def batch():
    image = torch.rand(2, 2, 30, 32, 6, generator=torch.Generator().manual_seed(0)) + 0.1
    return {"image": image, "brain": torch.ones(2, 1, 30, 32, 6), "warning": ["look swapped", ""]}


def run(network, batch, limits=LIMITS):
    """Output and batch after one iteration."""
    engine = Engine(lambda engine, given: None)
    engine.register_events(*IterationEvents)
    engine.network = network
    ImageQuality(limits).attach(engine)
    engine.state.batch, engine.state.output = dict(batch), {"image": batch["image"]}
    engine.fire_event(IterationEvents.FORWARD_COMPLETED)
    return engine.state.output, engine.state.batch


def test_scores_and_remarks_of_each_case(batch):
    network = Halving().train()
    output, after = run(SimpleNamespace(autoencoder=network), batch)
    expected = [image_quality(image, torch.ones(30, 32, 6), lambda part: 0.5 * part) for image in batch["image"]]
    assert output["image_quality"].shape == (2, 2, 2)
    assert torch.allclose(output["image_quality"], torch.stack(expected), atol=1e-6)
    assert torch.allclose(output["image_quality"][..., 1], torch.tensor(0.5))
    # Half of uniform noise is left: its detail is nearly Gaussian, above the limit of T1; FLAIR has none for noise.
    score = float(expected[0][0, 0])
    said = f"t1 looks noisy: score {score:.2f}, at most 0.5 expected"
    assert after["warning"][0] == f"look swapped; {said}" and after["warning"][1].startswith("t1 looks noisy: score ")
    assert "flair" not in after["warning"][0]
    assert network.modes == [(False, False)] * 2 and network.training


def test_remarks_name_modality_and_score():
    handler = ImageQuality(LIMITS)
    assert handler.remarks([[0.5, 0.9], [2.0, 0.91]]) == [
        "flair looks blurred, or of thick slices brought to thin ones: score 0.91, at most 0.9 expected"
    ]
    assert handler.remarks([[float("nan")] * 2] * 2) == [] and ImageQuality({}).remarks([[2.0, 2.0]] * 2) == []


def test_voxels_that_the_limits_do_not_know_have_no_score(batch):
    affines = torch.stack([torch.diag(torch.tensor(sizes)) for sizes in ([2.0, 2.0, 2.0, 1], [0.9, 1.0, 6.0, 1])])
    meta = MetaTensor(batch["image"], affine=affines)
    limits = LIMITS | {"plane_mm": [0.7, 1.2]}
    output, after = run(SimpleNamespace(autoencoder=Halving()), batch | {"image": meta}, limits)
    assert torch.isnan(output["image_quality"][0]).all() and torch.isfinite(output["image_quality"][1]).all()
    assert after["warning"][0] == "look swapped" and "noisy" in after["warning"][1]


def test_a_network_without_autoencoder_gives_no_scores(batch):
    output, after = run(nn.Identity(), batch)
    assert set(output) == {"image"} and after["warning"] == ["look swapped", ""]
