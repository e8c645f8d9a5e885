"""Training steps of every network with its loss under automatic mixed precision: finite, learning, without waiting."""

import math
from functools import lru_cache

import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedTrainer, default_prepare_batch
from monai.networks.nets import SwinUNETR
from torch import nn

from shared_networks.engines import PrepareFusionBatch, PrepareMutualReinforcingBatch, PrepareRefinementBatch
from shared_networks.handlers import FiniteTraining, GradientClip, LossParts
from shared_networks.losses import (
    FusionQualityLoss,
    GeSeNetLoss,
    MaskSparsityLoss,
    MutualReinforcingLoss,
    SemanticLoss,
    SemanticPretrainingLoss,
    TwoLevelRefinementLoss,
)
from shared_networks.nets import BilateralAttentionSegmenter, DegradationAutoencoder, GeSeNet, RMRFusionNet

QUALITY = {
    "multi_exposure_ssim": 6.0,
    "mean_source_ssim": 1.0,
    "correlation_of_differences": 5.0,
    "visual_information": 2.0,
    "visual_information_8_bit": 1.0,
    "mutual_information": 0.6,
    "edge_preservation": 12.0,
    "deviation": 4.0,
    "bright_share": 1.0,
}
STEPS = 2
# PyTorch begins with 65536, and leaves steps out until it has found what fits.
SCALE = 1024.0


def smooth(*shape):
    """Noise of a few voxels' width in [0, 1]."""
    spatial = shape[2:]
    coarse = torch.rand(*shape[:2], *(max(2, side // 6) for side in spatial))
    return nn.functional.interpolate(coarse, size=spatial, mode="bilinear" if len(spatial) == 2 else "trilinear")


def gesenet():
    loss = GeSeNetLoss(
        edge=20.0,
        gamma=0.6,
        semantic=SemanticLoss(BilateralAttentionSegmenter()),
        quality=FusionQualityLoss(QUALITY, ceilings={"correlation_of_differences": 1.7}),
        sparsity=MaskSparsityLoss(),
    )
    network = GeSeNet(mask_upsampling="bilinear", output_range=(-0.05, 1.05))
    image = smooth(2, 2, 48, 48)
    image[1] = 0.0  # a crop beside the head
    return network, loss, PrepareFusionBatch(return_masks=True), {"image": image}


def segmenter():
    batch = {"image": smooth(2, 1, 48, 48), "label": torch.randint(0, 6, (2, 1, 48, 48))}
    return BilateralAttentionSegmenter(), SemanticPretrainingLoss(), default_prepare_batch, batch


def autoencoder():
    image = smooth(1, 2, 28, 14, 14)
    batch = {"image": image, "degraded": (image + 0.1 * torch.randn_like(image)).clamp(0, 1)}
    return DegradationAutoencoder(), TwoLevelRefinementLoss(), PrepareRefinementBatch(), batch


def rmr_fusion():
    network = RMRFusionNet(SwinUNETR(16, 5, feature_size=12, depths=(1, 1, 1, 1)))
    loss = MutualReinforcingLoss(cross_entropy=0.1, class_weights=[0.5, 1.0, 1.0, 1.0, 3.0])
    batch = {"image": smooth(1, 2, 28, 14, 14), "label": torch.randint(0, 5, (1, 1, 28, 14, 14), dtype=torch.uint8)}
    return network, loss, PrepareMutualReinforcingBatch(), batch


NETWORKS = [gesenet, segmenter, autoencoder, rmr_fusion]


def train(make, device, amp, dtype=torch.float16, most=STEPS):
    """A trainer of some steps, its network and its loss."""
    torch.manual_seed(0)
    network, loss, prepare, batch = make()
    network, loss = network.to(device), loss.to(device)
    trainer = SupervisedTrainer(
        device=torch.device(device),
        max_epochs=1,
        train_data_loader=[batch] * most,
        network=network,
        optimizer=torch.optim.Adam((p for p in network.parameters() if p.requires_grad), lr=1e-3),
        loss_function=loss,
        prepare_batch=prepare,
        train_handlers=[GradientClip(network, 5.0), FiniteTraining(network, interval=100)],
        amp=amp,
        amp_kwargs={"dtype": dtype},
        decollate=False,
        optim_set_to_none=True,
    )
    if amp:  # MONAI's trainer makes its scaler when it runs
        begin = torch.amp.GradScaler("cuda", init_scale=SCALE)
        trainer.add_event_handler(Events.STARTED, lambda engine: setattr(engine, "scaler", begin))
    return trainer, network, loss


@lru_cache
def on_the_cpu(make):
    """Loss of the first step in single precision."""
    trainer, _, _ = train(make, "cpu", amp=False, most=1)
    trainer.run()
    return trainer.state.output["loss"].item()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("make", NETWORKS)
def test_steps_are_finite_and_learn_and_wait_once(make, dtype, gpu):
    expected = on_the_cpu(make)
    trainer, network, loss = train(make, "cuda", amp=True, dtype=dtype)
    before = {name: value.detach().cpu() for name, value in network.named_parameters() if value.requires_grad}
    losses, waits, uploads = [], [], []

    def begin(engine):
        gpu.waits.clear(), gpu.uploads.clear()

    def end(engine):
        waits.append(dict(gpu.waits)), uploads.append(dict(gpu.uploads))
        losses.append(engine.state.output["loss"].item())

    trainer.add_event_handler(Events.ITERATION_STARTED, begin)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, end)
    trainer.run()

    assert losses[0] == pytest.approx(expected, rel=0.02 if dtype == torch.float16 else 0.06)
    assert all(map(math.isfinite, losses))
    # The scaler looks whether the gradients are finite; nothing else makes the host wait but, at the end of an epoch,
    # FiniteTraining. Only the batch is uploaded.
    assert all(sum(step.values()) <= 1 for step in waits[:-1]), waits
    assert sum(waits[-1].values()) <= 3
    tensors = 1 if make is gesenet else 3 if make is rmr_fusion else 2
    assert all(sum(step.values()) <= tensors for step in uploads[1:]), uploads
    assert trainer.scaler.get_scale() == SCALE, "a step was left out"
    after = dict(network.named_parameters())
    moved = [not torch.equal(value, after[name].detach().cpu()) for name, value in before.items()]
    assert sum(moved) > 0.9 * len(moved)
    if hasattr(loss, "parts"):
        gpu.waits.clear()
        parts = LossParts(loss)()
        assert sum(gpu.waits.values()) == 1
        assert len(parts) > 3 and all(map(math.isfinite, parts.values()))


@pytest.mark.parametrize("make", [gesenet, autoencoder])
def test_without_mixed_precision_a_step_waits_once_too(make, gpu):
    trainer, _, _ = train(make, "cuda", amp=False, most=2)
    trainer.add_event_handler(Events.ITERATION_STARTED, lambda engine: gpu.waits.clear())
    trainer.run()
    assert sum(gpu.waits.values()) == 1, gpu.waits
