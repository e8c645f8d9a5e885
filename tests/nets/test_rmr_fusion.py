"""The one RMR network: size, channels, frozen parts, every volume size, export; heads are in tests/bundles."""

import io

import pytest
import torch
from monai.data import MetaTensor
from monai.networks.nets import SwinUNETR

from shared_networks.blocks.any_size_head import AnySizeHead
from shared_networks.errors import InputError
from shared_networks.nets import DegradationAutoencoder, RMRFusionNet, SemanticHeadOnly


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def small_head(in_channels=16):
    return SwinUNETR(in_channels=in_channels, out_channels=5, feature_size=12, depths=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return RMRFusionNet(small_head()).eval()


def test_parameters_are_those_of_the_paper():
    network = RMRFusionNet(SwinUNETR(in_channels=16, out_channels=5, feature_size=48))
    assert parameters(network.semantic_head) == 62_212_775
    assert parameters(network.fusion) == 145_344
    assert parameters(network.autoencoder) == 2 * 359_084 + 8_713
    assert parameters(network) == 63_085_000
    assert sum(parameter.numel() for parameter in network.trainable_parameters()) == 62_212_775 + 145_344


@pytest.mark.parametrize("size", [(1, 1, 1), (33, 20, 1), (32, 32, 32), (31, 31, 31), (64, 2, 35)])
def test_every_size_keeps_its_shape(network, size):
    with torch.no_grad():
        output = network(torch.rand(1, 2, *size))
    assert output.shape == (1, 6, *size)
    assert output.isfinite().all()


def test_logits_come_first_then_the_fused_volume(network):
    image = torch.rand(2, 2, 32, 15, 14)
    with torch.no_grad():
        output = network(image)
        features = network.encode_fuse(image)
        assert features.shape == (2, 16, 32, 15, 14)
        assert torch.equal(output[:, :5], network.semantic_head(features))
        assert torch.equal(output[:, 5:], network.decode(features))
        assert torch.equal(features, network.fusion(network.autoencoder.encode(image)))
        assert torch.equal(output, network.forward(torch.cat([image, network.encode(image)], dim=1), encoded=True))


def test_images_beside_the_features_reach_head_and_volume():
    torch.manual_seed(0)
    network = RMRFusionNet(small_head(18), images_to_head=True, images_to_volume=(0.2, 0.85)).eval()
    plain = RMRFusionNet(small_head(18), network.autoencoder, images_to_head=True).eval()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("detail.")})
    image = torch.rand(1, 2, 14, 15, 3)
    with torch.no_grad():
        features, output = network.encode_fuse(image), network(image)
        assert torch.equal(features, plain.encode_fuse(image)) and torch.equal(features[:, 16:], image)
        assert torch.equal(output[:, :5], plain(image)[:, :5])
        assert torch.equal(output[:, 5:], network.detail(plain.decode(features), features[:, :16], image))
        assert torch.equal(output, network(torch.cat([image, network.encode(image)], dim=1), encoded=True))
    assert parameters(network.detail) == 2_131 == parameters(network) - parameters(plain)
    assert all(parameter.requires_grad for parameter in network.detail.parameters())
    with pytest.raises(ValueError, match="images_to_volume needs images_to_head"):
        RMRFusionNet(small_head(), images_to_volume=(0.2, 0.85))


def test_tuned_encoders_learn_at_their_own_rate_and_the_decoder_stays():
    torch.manual_seed(0)
    network = RMRFusionNet(small_head(), tune_encoders=True).train()
    optimiser = torch.optim.SGD(network.parameter_groups(0.25), lr=1.0)
    tuned = sum(parameters(encoder) for encoder in (network.autoencoder.encoder_x, network.autoencoder.encoder_y))
    assert [sum(p.numel() for p in group["params"]) for group in optimiser.param_groups] == [
        parameters(network) - parameters(network.autoencoder),
        tuned,
    ]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network(torch.rand(1, 2, 14, 14, 14)).square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    optimiser.step()
    for name, tensor in network.state_dict().items():
        if name.startswith("autoencoder.decoder."):
            assert gradients[name] is None and torch.equal(tensor, before[name])
        elif name.startswith("autoencoder.encoder_"):
            assert gradients[name].abs().sum() > 0
            assert torch.allclose(tensor, before[name] - 0.25 * gradients[name], atol=1e-7)
    with torch.no_grad():
        assert not network.encode(torch.rand(1, 2, 7, 7, 7)).requires_grad


def test_frozen_parts_are_bit_identical_after_optimiser_steps():
    torch.manual_seed(0)
    network = RMRFusionNet(small_head()).train()
    optimiser = torch.optim.AdamW(network.trainable_parameters(), lr=0.1, weight_decay=0.5)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for _ in range(2):
        optimiser.zero_grad()
        network(torch.rand(1, 2, 14, 14, 14)).square().mean().backward()
        optimiser.step()
    after = network.state_dict()
    frozen = [name for name in before if name.startswith("autoencoder.")]
    assert len(frozen) == len(network.autoencoder.state_dict())
    assert all(torch.equal(after[name], before[name]) for name in frozen)
    assert all(parameter.grad is None for parameter in network.autoencoder.parameters())
    changed = [name for name in before if not torch.equal(after[name], before[name])]
    assert set(changed) == {name for name, p in network.named_parameters() if p.requires_grad}


def test_training_mode_leaves_the_frozen_parts_in_evaluation_mode():
    network = RMRFusionNet(small_head())
    assert network.train() is network
    assert network.training and network.fusion.training and network.semantic_head.training
    assert not any(module.training for module in network.autoencoder.modules())
    assert not any(module.training for module in network.eval().modules())


def test_the_fused_volume_teaches_the_fusion_module_through_the_frozen_decoder():
    torch.manual_seed(0)
    network = RMRFusionNet(small_head()).train()
    network(torch.rand(1, 2, 14, 14, 14))[:, 5].square().mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.fusion.parameters())


def test_stage_one_checkpoint_is_taken_and_stays_frozen(tmp_path):
    torch.manual_seed(1)
    trained = DegradationAutoencoder()
    torch.save({"model": trained.state_dict()}, tmp_path / "autoencoder.pt")
    network = RMRFusionNet(small_head())
    assert network.load_autoencoder(tmp_path / "autoencoder.pt") is network
    for (name, tensor), expected in zip(
        network.autoencoder.state_dict().items(), trained.state_dict().values(), strict=True
    ):
        assert torch.equal(tensor, expected), name
    assert not any(parameter.requires_grad for parameter in network.autoencoder.parameters())
    with pytest.raises(InputError, match=r"nothing.pt: no such checkpoint; .*: make it"):
        network.load_autoencoder(tmp_path / "nothing.pt", "make it")


class Sizes(torch.nn.Conv3d):
    """A head of one voxel's reach that notes the sizes it was given."""

    def __init__(self):
        super().__init__(16, 5, 1)
        self.seen = []

    def forward(self, x):
        self.seen.append(tuple(x.shape[2:]))
        return super().forward(x)


@pytest.mark.parametrize(
    ("keywords", "size", "seen"),
    [
        ({"divisor": 32}, (33, 20, 64), [(64, 32, 64)]),
        ({"divisor": 32}, (32, 7, 32), [(32, 32, 64)]),
        ({"divisor": (8, 4, 2)}, (9, 9, 9), [(16, 12, 10)]),
        ({"size": (8, 8, 4)}, (3, 8, 1), [(8, 8, 4)]),
        ({"size": (8, 8, 4)}, (13, 8, 1), [(8, 8, 4)] * 2),
    ],
)
def test_heads_see_the_sizes_they_can_take(keywords, size, seen):
    inner = Sizes()
    head, features = AnySizeHead(inner, **keywords), torch.rand(1, 16, *size)
    with torch.no_grad():
        output = head(features)
        assert inner.seen == seen
        # What a head with the reach of one voxel says does not depend on what was padded.
        assert torch.allclose(output, torch.nn.Conv3d.forward(inner, features), atol=1e-5)


def test_head_divisor_is_checked():
    for wrong in (0, (8, 8)):
        with pytest.raises(ValueError, match="divisor must be one or three"):
            AnySizeHead(Sizes(), divisor=wrong)


def test_tracing_and_export_give_the_same_at_the_window_size(network):
    # Two windows of the encoders along one axis, so that there are shifted windows and masks.
    first, second = torch.rand(2, 1, 2, 16, 14, 14)
    with torch.no_grad():
        expected = network(second)
        file = io.BytesIO()
        torch.jit.save(torch.jit.trace(network, first, check_trace=False), file)
        file.seek(0)
        assert torch.allclose(torch.jit.load(file)(second), expected, atol=1e-4)
        exported = torch.export.export(network, (first,)).module()
        assert torch.allclose(exported(second), expected, atol=1e-4)


def test_head_alone_has_the_same_form():
    torch.manual_seed(0)
    network = SemanticHeadOnly(small_head(2))
    image = torch.rand(1, 2, 33, 20, 2)
    output = network(image)
    assert output.shape == (1, 6, 33, 20, 2)
    assert torch.allclose(output[:, 5], image.mean(1))
    assert torch.equal(output[:, :5], network.semantic_head(network.encode_fuse(image)))
    assert sum(p.numel() for p in network.trainable_parameters()) == parameters(network)


def test_lower_precision_and_images_with_metadata_train():
    torch.manual_seed(0)
    network = RMRFusionNet(small_head()).train()
    image = torch.rand(1, 2, 16, 14, 14)
    expected = network(image).detach()
    assert torch.equal(network(MetaTensor(image)).detach().as_tensor(), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(image)
    output.float().square().mean().backward()
    assert (output[:, 5].float() - expected[:, 5]).abs().max() < 0.02
    assert all(parameter.grad.isfinite().all() for parameter in network.trainable_parameters())
