"""Half-precision input under autocast: values and gradients of every term are those of double precision."""

import pytest
import torch

from shared_networks.losses import (
    EdgeLoss,
    FusionQualityLoss,
    GeSeNetLoss,
    MaskSparsityLoss,
    MutualReinforcingLoss,
    SemanticLoss,
    SemanticPretrainingLoss,
    StructuralSimilarityFusionLoss,
    TwoLevelRefinementLoss,
    VisualFusionLoss,
    VolumeSimilarityLoss,
)
from shared_networks.losses.fusion_quality import _TERMS
from shared_networks.losses.precision import in_single_precision


def smooth(*shape, seed=0):
    coarse = torch.rand(*shape[:2], *(8,) * (len(shape) - 2), generator=torch.Generator().manual_seed(seed))
    mode = "bilinear" if len(shape) == 4 else "trilinear"
    return torch.nn.functional.interpolate(coarse, size=shape[2:], mode=mode) * 0.9 + 0.05


class Segmenter(torch.nn.Module):
    """Logits of three classes in the precision of the picture."""

    def forward(self, picture):
        logits = 4 * torch.cat([picture, 1 - picture, 3 * picture * (1 - picture)], dim=1)
        return logits, logits.flip(1)


PICTURE, SOURCES = smooth(2, 1, 48, 44), smooth(2, 2, 48, 44, seed=1)
VOLUME, PAIR = smooth(2, 1, 15, 14, 13), smooth(2, 2, 15, 14, 13, seed=1)
LABEL = torch.randint(0, 5, (2, 1, 15, 14, 13), generator=torch.Generator().manual_seed(2))
CASES = {
    **{name: (FusionQualityLoss({name: 1.0}), PICTURE, SOURCES) for name in _TERMS},
    "edge": (EdgeLoss(), PICTURE, SOURCES),
    "structure": (StructuralSimilarityFusionLoss(), PICTURE, SOURCES),
    "sparsity": (MaskSparsityLoss(), SOURCES, smooth(2, 2, 48, 44, seed=3)),
    "GeSeNet": (GeSeNetLoss(quality=FusionQualityLoss({"mutual_information": 1.0})), PICTURE, SOURCES),
    "visual": (VisualFusionLoss(), VOLUME, PAIR),
    "volume similarity": (VolumeSimilarityLoss(), VOLUME, PAIR[:, :1]),
    "stage 1": (TwoLevelRefinementLoss(), torch.cat([smooth(4, 34, 15, 14, 13)]), PAIR),
    "stage 2": (
        MutualReinforcingLoss(cross_entropy=0.1),
        smooth(2, 6, 15, 14, 13, seed=4),
        {"image": PAIR, "label": LABEL},
    ),
    "semantic, frozen module": (SemanticLoss(Segmenter()), PICTURE, SOURCES),
    "semantic": (
        lambda logits, label: SemanticPretrainingLoss()((logits, logits.flip(1)), label),
        8 * smooth(2, 5, 15, 14, 13)[..., 0],
        LABEL[..., 0],
    ),
}


def cast(value, dtype):
    if isinstance(value, dict):
        return {key: cast(inner, dtype) for key, inner in value.items()}
    return value.to(dtype) if value.is_floating_point() else value


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_double_precision(name, dtype):
    loss, prediction, target = CASES[name]
    low = cast(prediction, dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        value = loss(low, cast(target, dtype))
    assert value.dtype == torch.float32
    value.backward()
    exact = low.detach().double().requires_grad_()
    expected = loss(exact, cast(cast(target, dtype), torch.float64))
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)
    gradient, other = low.grad.double().flatten(), exact.grad.flatten()
    # The gradient comes back in the precision of the prediction.
    rounding = 2 * torch.finfo(dtype).eps * other.abs() + 1e-3 * other.abs().max()
    assert (other != 0).any() and ((gradient - other).abs() <= rounding).double().mean() > 0.999


def test_double_precision_numbers_and_what_is_no_tensor_stay():
    seen = []

    class Loss(torch.nn.Module):
        @in_single_precision
        def forward(self, prediction, target, **more):
            seen.append((prediction.dtype, target["a"].dtype, target["b"], more["c"].dtype))
            return prediction.sum()

    half, double, number = torch.zeros(2).half(), torch.zeros(2).double(), torch.zeros(2, dtype=torch.int64)
    Loss()(half, {"a": double, "b": 3}, c=number)
    assert seen == [(torch.float32, torch.float64, 3, torch.int64)]
