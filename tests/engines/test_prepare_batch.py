"""The batch becomes network input and loss target."""

import torch
from monai.data import MetaTensor

from shared_networks.engines import PrepareFusionBatch


def test_sources_are_input_and_target_and_masks_are_asked_for_on_demand():
    image = MetaTensor(torch.rand(2, 2, 4, 4))
    inputs, target, positional, keywords = PrepareFusionBatch(return_masks=True)({"image": image}, torch.device("cpu"))
    assert torch.equal(inputs, image.as_tensor())
    assert type(inputs) is torch.Tensor
    assert target is inputs
    assert positional == ()
    assert keywords == {"return_masks": True}
    assert PrepareFusionBatch()({"image": image})[3] == {}


def test_a_disturbed_copy_is_the_input():
    batch = {name: torch.rand(2, 2, 4, 4) for name in ("image", "seen")}
    inputs, target, _, keywords = PrepareFusionBatch(input_key="seen")(batch)
    assert torch.equal(inputs, batch["seen"]) and target is batch["image"]
    assert keywords == {}
