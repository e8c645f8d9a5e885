"""Semantic losses: Eq. 15-17 by hand, what is frozen, where the gradient goes, and what a bad checkpoint says."""

import math

import pytest
import torch
from torch import nn

from shared_networks.errors import InputError
from shared_networks.losses.semantic import SemanticLoss, SemanticPretrainingLoss
from shared_networks.nets.bilateral_segmenter import BilateralAttentionSegmenter


class _Brightness(nn.Module):
    """Two classes; main logits (0, 4x - 2), auxiliary logits (0, 0), through a batch norm that could move."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(4.0))
        self.norm = nn.BatchNorm2d(1, eps=0.0)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logit = self.gain * self.norm(image) - 2
        return torch.cat([torch.zeros_like(logit), logit], dim=1), torch.zeros_like(image).expand(-1, 2, -1, -1)


def _softplus(x: float) -> float:
    return math.log(1 + math.exp(x))


def test_labels_come_from_the_mean_softmax_of_the_two_sources():
    # One pixel each: sigmoid(4x - 2) of the sources must exceed 0.5 on average for class 1.
    sources = torch.tensor([[0.9, 0.2], [0.0, 0.6], [0.5, 0.55]]).reshape(3, 2, 1, 1)
    expected = [
        int(sum(1 / (1 + math.exp(2 - 4 * x)) for x in pair) / 2 > 0.5)
        for pair in [(0.9, 0.2), (0.0, 0.6), (0.5, 0.55)]
    ]
    assert expected == [1, 0, 1]
    assert SemanticLoss(_Brightness()).labels(sources).flatten().tolist() == expected


def test_value_is_equation_15():
    fused = torch.tensor([0.8, 0.3]).reshape(2, 1, 1, 1)
    sources = torch.tensor([[1.0, 1.0], [1.0, 1.0]]).reshape(2, 2, 1, 1)  # both pixels: class 1
    main = (_softplus(-(4 * 0.8 - 2)) + _softplus(-(4 * 0.3 - 2))) / 2
    for delta in (0.5, 0.0, 2.0):
        value = SemanticLoss(_Brightness(), delta=delta)(fused, sources)
        assert float(value) == pytest.approx(main + delta * math.log(2), rel=1e-5)


def test_labels_are_not_taken_from_the_fused_image():
    fused = torch.zeros(1, 1, 2, 2)
    bright, dark = torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    loss = SemanticLoss(_Brightness())
    assert loss(fused, bright) > loss(fused, dark) + 1


def test_gradient_flows_through_the_fused_image_alone():
    fused = torch.rand(1, 1, 4, 4, requires_grad=True)
    sources = torch.rand(1, 2, 4, 4, requires_grad=True)
    loss = SemanticLoss(_Brightness())
    loss(fused, sources).backward()
    assert fused.grad.abs().min() > 0
    assert sources.grad is None
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in loss.parameters())


def test_module_stays_in_evaluation_mode():
    loss = SemanticLoss(_Brightness().train()).train()
    assert loss.training and not any(module.training for module in loss.segmenter.modules())
    loss(torch.rand(2, 1, 4, 4), torch.rand(2, 2, 4, 4))
    assert float(loss.segmenter.norm.running_mean) == 0.0 and float(loss.segmenter.norm.running_var) == 1.0


@pytest.mark.parametrize("size", [24, 96])
def test_patches_of_the_paper_and_larger_ones(size):
    loss = SemanticLoss(BilateralAttentionSegmenter(block_inplanes=(4, 8, 8, 8), decoder_channels=8))
    fused = torch.rand(2, 1, size, size, requires_grad=True)
    value = loss(fused, torch.rand(2, 2, size, size))
    value.backward()
    assert value > 0 and fused.grad.abs().sum() > 0


def test_checkpoint_is_loaded_into_the_default_module(tmp_path):
    torch.manual_seed(0)
    trained = BilateralAttentionSegmenter()
    torch.save(trained.state_dict(), tmp_path / "semantic.pt")
    loss = SemanticLoss(checkpoint=str(tmp_path / "semantic.pt"))
    image = torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(loss.segmenter(image)[0], trained.eval()(image)[0])


@pytest.mark.parametrize(
    ("name", "fact"),
    [
        ("none.pt", "none.pt: no such checkpoint"),
        ("linear.pt", "linear.pt: not the weights of BilateralAttentionSegmenter"),
        ("broken.pt", "broken.pt: cannot be loaded"),
        (None, "needs a trained module"),
    ],
)
def test_a_checkpoint_that_cannot_be_taken_is_refused_with_what_makes_one(tmp_path, name, fact):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
    (tmp_path / "broken.pt").write_bytes(b"PK not a checkpoint")
    with pytest.raises(InputError, match=rf"{fact}.*train_semantic\.json"):
        SemanticLoss(**({} if name is None else {"checkpoint": str(tmp_path / name)}))


def test_pretraining_loss_by_hand():
    main = torch.zeros(1, 2, 1, 2)
    main[0, 1, 0, 0] = 3.0  # the first pixel leans to class 1, the second to none
    auxiliary = torch.zeros(1, 2, 1, 2)
    label = torch.tensor([[[[1, 0]]]], dtype=torch.uint8)
    expected = (_softplus(-3.0) + math.log(2)) / 2 + 0.5 * math.log(2)
    assert float(SemanticPretrainingLoss()((main, auxiliary), label)) == pytest.approx(expected, rel=1e-6)
