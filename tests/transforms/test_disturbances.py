import pytest
import torch

from shared_networks.transforms import DisturbPaird


@pytest.fixture
def item():
    pair = torch.rand(2, 40, 50, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    return {"image": pair, "case": "a"}


def test_nothing_is_changed_at_strength_0(item):
    assert torch.equal(DisturbPaird("image")(item)["image"], item["image"])


def test_shift_moves_the_second_picture_only(item):
    moved = DisturbPaird("image", shift=3)(item)["image"]
    assert torch.equal(moved[0], item["image"][0])
    assert torch.equal(moved[1, :, 3:], item["image"][1, :, :-3])
    assert torch.equal(moved[1, :, :3], item["image"][1, :, :1].expand(-1, 3))


def test_noise_has_its_strength_and_depends_on_case_and_seed_only(item):
    noisy = DisturbPaird("image", noise_std=0.05)(item)["image"]
    assert float((noisy - item["image"]).std()) == pytest.approx(0.05, rel=0.05)
    assert torch.equal(noisy, DisturbPaird("image", noise_std=0.05)(item)["image"])
    for other in (
        DisturbPaird("image", noise_std=0.05, seed=1)(item),
        DisturbPaird("image", 0.05)({**item, "case": "b"}),
    ):
        assert not torch.equal(noisy, other["image"])
    strong = DisturbPaird("image", noise_std=2)(item)["image"]
    assert strong.min() == 0 and strong.max() == 1


def test_negative_strengths_are_refused():
    for keys in ({"noise_std": -0.1}, {"shift": -1}):
        with pytest.raises(ValueError, match="negative"):
            DisturbPaird("image", **keys)
