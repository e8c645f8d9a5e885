"""Rules of lesions: what the benchmark tries is what the bundle does; leaving out one person, by hand."""

import json

import numpy as np
import pytest
import torch

from benchmarks import RMR
from benchmarks.rmr_lesion_rules import Rules, Seen, found_lesions, leave_one_out, main, scores, table
from benchmarks.toy_data import write_toy_brains
from shared_networks.transforms import SplitSegmentationd
from shared_networks.transforms.lesion_rules import flair_brightness


@pytest.mark.parametrize(
    "rules",
    [Rules(0.5), Rules(0.4, lesion_white_matter=0.6), Rules(0.5, 0.2, 1.0, 0.6), Rules(0.5, 0.2, 1.0, 0.6, 0.004)],
)
def test_lesions_are_those_of_the_bundle(rules):
    generator = torch.Generator().manual_seed(0)
    coarse = 4 * torch.randn(1, 6, 4, 4, 4, generator=generator)
    coarse[:, 3:5] += 2.0
    output = torch.nn.functional.interpolate(coarse, (12, 11, 10), mode="trilinear")[0]
    image = torch.rand(2, 12, 11, 10, generator=generator)
    split = SplitSegmentationd(
        lesion_threshold=rules.lesion_threshold,
        bright_lesion_threshold=rules.bright_lesion_threshold,
        lesion_brightness=rules.lesion_brightness,
        smallest_lesion_ml=rules.smallest_lesion_ml,
        least_white_matter=rules.lesion_white_matter,
        without_background=True,
    )
    expected = split({"pred": output, "image": image})["pred"][0] == 4
    logits = output[:-1].clone()
    logits[0] = -torch.inf
    probability = logits.softmax(dim=0)[4].numpy()
    logits[4] = -torch.inf
    others = logits.argmax(dim=0)
    brightness = flair_brightness(image[1], others == 2).numpy()
    brain = np.ones(expected.shape, bool)
    seen = Seen(probability, (others == 3).numpy(), brightness, brain, expected.numpy(), 0.001)
    assert 0 < expected.sum() < expected.numel() and np.array_equal(found_lesions(seen, rules), expected.numpy())
    assert scores(seen, rules) == {"dice": 1.0, "volume_error": 0.0}


def test_nobody_chooses_for_himself():
    low, high = Rules(0.5), Rules(0.7)
    dice = {low: {"a1": 0.9, "a2": 0.9, "b": 0.3, "c": 0.3}, high: {"a1": 0.1, "a2": 0.1, "b": 0.5, "c": 0.4}}
    persons = {"a1": "a", "a2": "a", "b": "b", "c": "c"}
    assert leave_one_out(dice, persons) == {"a1": (high, 0.1), "a2": (high, 0.1), "b": (low, 0.3), "c": (low, 0.3)}


def test_the_command_on_made_up_brains(tmp_path):
    brains = write_toy_brains(tmp_path / "brains", labelled=3, unlabelled=0)
    content = json.loads((brains / "datalist.json").read_text())
    content["validation"] = content["training"][:2]
    (brains / "datalist.json").write_text(json.dumps(content))
    result = main(["--run", str(brains / "datalist.json"), str(RMR / "models" / "model.pt"), "--out", str(tmp_path)])
    assert set(result["drawn_ml"]) == set(result["left_out"]) and len(result["drawn_ml"]) == 2
    config = json.loads((RMR / "configs" / "train.json").read_text())
    keys = result["rules"]["the keys of train.json"]["keys"]
    assert all(config[key] == value for key, value in keys.items())
    assert len(table(result).splitlines()) == 9
