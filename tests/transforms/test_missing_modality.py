import pytest
import torch

from shared_networks.transforms import DropModalityd, RandModalityDropoutd


@pytest.fixture
def item():
    generator = torch.Generator().manual_seed(0)
    return {
        "image": torch.rand(2, 3, 4, 5, generator=generator),
        "degraded": torch.rand(2, 3, 4, 5, generator=generator),
    }


@pytest.mark.parametrize("channel", [0, 1])
def test_dropped_channel_is_zero_and_the_input_is_kept(item, channel):
    kept = item["image"].clone()
    dropped = DropModalityd("image", channel)(item)["image"]
    assert not dropped[channel].any()
    assert torch.equal(dropped[1 - channel], kept[1 - channel])
    assert torch.equal(item["image"], kept)


@pytest.mark.parametrize("channel", [-1, 2, None])
def test_there_are_two_modalities(channel):
    with pytest.raises(ValueError, match="channel must be 0 or 1"):
        DropModalityd("image", channel)


def test_dropout_hides_one_modality_and_lets_the_other_stand_in(item):
    transform = RandModalityDropoutd(input_key="degraded", prob=1.0).set_random_state(0)
    lost = []
    for _ in range(40):
        d = transform(item)
        (channel,) = (index for index in (0, 1) if not d["available"][index].any())
        lost.append(channel)
        other = 1 - channel
        assert torch.equal(d["available"][other], item["degraded"][other])
        assert torch.equal(d["image"][other], item["image"][other])
        assert torch.equal(d["image"][channel], item["image"][other])
        assert torch.equal(d["degraded"], item["degraded"])
    assert 10 <= sum(lost) <= 30


def test_without_a_loss_the_network_sees_its_input(item):
    for keys, name in (({}, "image"), ({"input_key": "degraded"}, "degraded")):
        d = RandModalityDropoutd(prob=0.0, **keys)(item)
        assert torch.equal(d["available"], item[name]) and torch.equal(d["image"], item["image"])
