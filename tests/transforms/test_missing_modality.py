import numpy as np
import pytest
import torch

from shared_networks.transforms import DropModalityd, LoadModalitiesd, RandModalityDropoutd


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


@pytest.mark.parametrize("missing", [0, 1])
def test_the_brain_is_that_of_the_modality_that_is_left(write_volume, missing):
    """Evaluation with a missing channel masks as inference with one modality does."""
    values = np.zeros((2, 12, 12, 10), np.int16)
    values[0, 2:9, 2:9, 2:8] = np.random.default_rng(0).integers(100, 900, (7, 7, 6))
    values[1, 3:11, 3:11, 2:8] = np.random.default_rng(1).integers(100, 900, (8, 8, 6))
    paths = [str(write_volume(f"{name}.nii.gz", one)) for name, one in zip(("t1", "flair"), values, strict=True)]
    both = LoadModalitiesd(foreground_key="foreground")({"image": paths})
    dropped = DropModalityd("image", missing, brain_key="brain")(both)
    alone = LoadModalitiesd(allow_missing=True)({"image": [path * (i != missing) for i, path in enumerate(paths)]})
    for key in ("image", "brain"):
        assert torch.equal(dropped[key].as_tensor(), alone[key].as_tensor())
    assert both["brain"].sum() > dropped["brain"].sum()
