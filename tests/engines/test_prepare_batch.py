"""Batches become network input and loss target; both stages run in MONAI's own trainer with them."""

import pytest
import torch
from monai.data import MetaTensor
from monai.engines import SupervisedTrainer

from shared_networks.engines import PrepareFusionBatch, PrepareMutualReinforcingBatch, PrepareRefinementBatch
from shared_networks.errors import InputError
from shared_networks.losses import MutualReinforcingLoss, TwoLevelRefinementLoss


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


@pytest.mark.parametrize("prepare", [PrepareFusionBatch, PrepareMutualReinforcingBatch])
@pytest.mark.parametrize("key", ["xx", "case", 3])
def test_an_input_that_the_batch_does_not_hold_is_named(prepare, key):
    batch = {"image": torch.rand(1, 2, 4, 4), "seen": torch.rand(1, 2, 4, 4), "case": ["a"]}
    with pytest.raises(InputError) as caught:
        prepare(input_key=key)(batch)
    assert str(caught.value) == f"input_key is {key!r}; expected one of what a batch holds: image or seen."


class TinyAutoencoder(torch.nn.Module):
    """In the form of the stage 1 network: two images, two feature channels."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv3d(2, 2, 1)

    def forward(self, image, return_features=False):
        features = self.layer(image)
        return torch.cat([features, features], dim=1) if return_features else features


def train(network, loss, batch, prepare, epochs=1):
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=[batch],
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), lr=0.05),
        loss_function=loss,
        prepare_batch=prepare,
        amp=False,
    )
    trainer.run()
    return trainer


@pytest.mark.parametrize("negatives", [1, 3])
def test_clean_and_negatives_are_stacked_in_the_order_of_the_loss(negatives):
    image = MetaTensor(torch.rand(2, 2, 4, 5, 3))
    degraded = MetaTensor(torch.rand(2, 2 * negatives, 4, 5, 3))
    batch = {"image": image, "degraded": degraded}
    inputs, target, positional, keywords = PrepareRefinementBatch()(batch, torch.device("cpu"))
    assert type(inputs) is torch.Tensor and inputs.shape == (2 * (1 + negatives), 2, 4, 5, 3)
    assert torch.equal(inputs[:2], image.as_tensor()) and torch.equal(target, image.as_tensor())
    for number in range(negatives):
        for case in range(2):
            negative = degraded[case, 2 * number : 2 * number + 2].as_tensor()
            assert torch.equal(inputs[2 * (1 + number) + case], negative)
    assert positional == () and keywords == {"return_features": True}


def test_stage_1_trains_in_monais_trainer():
    torch.manual_seed(0)
    image = torch.rand(2, 2, 12, 12, 12)
    batch = {"image": image, "degraded": image + 0.1 * torch.randn_like(image)}
    loss, network = TwoLevelRefinementLoss(), TinyAutoencoder()
    train(network, loss, batch, PrepareRefinementBatch())
    first = loss.parts["L_TR"]
    train(network, loss, batch, PrepareRefinementBatch(), epochs=30)
    assert loss.parts["L_TR"] < 0.5 * first


@pytest.mark.parametrize("input_key", ["image", "degraded"])
def test_stage_2_trains_in_monais_trainer(input_key):
    torch.manual_seed(0)
    image = torch.rand(1, 2, 6, 6, 6)
    batch = {"image": MetaTensor(image), "degraded": image + 1, "label": (image[:, :1] > 0.5).to(torch.uint8)}
    prepare = PrepareMutualReinforcingBatch(input_key)
    inputs, target, *rest = prepare(batch)
    assert rest == [(), {}]
    assert torch.equal(inputs, torch.as_tensor(batch[input_key])) and type(inputs) is torch.Tensor
    assert torch.equal(target["image"], image) and torch.equal(target["label"], batch["label"])
    loss, network = MutualReinforcingLoss(cross_entropy=1.0), torch.nn.Conv3d(2, 3, 1)
    train(network, loss, batch, prepare)
    first = loss.parts["L_MF"]
    train(network, loss, batch, prepare, epochs=40)
    assert loss.parts["L_MF"] < 0.8 * first


def test_labels_are_left_out_on_demand():
    _, target, *_ = PrepareMutualReinforcingBatch(label_key="")({"image": torch.rand(1, 2, 3, 3, 3)})
    assert list(target) == ["image"]


def test_features_come_after_the_images_and_the_mark_with_the_label():
    batch = {"image": torch.rand(2, 2, 3, 3, 3), "seen": torch.rand(2, 2, 3, 3, 3), "label": torch.zeros(2, 1, 3, 3, 3)}
    batch |= {"features": torch.rand(2, 32, 3, 3, 3).half(), "marked": torch.tensor([True, False])}
    inputs, target, _, keywords = PrepareMutualReinforcingBatch("seen", features_key="features")(batch)
    assert inputs.dtype == torch.float32 and keywords == {"encoded": True}
    assert torch.equal(inputs, torch.cat([batch["seen"], batch["features"].float()], dim=1))
    assert torch.equal(target["image"], batch["image"]) and target["marked"].tolist() == [True, False]
