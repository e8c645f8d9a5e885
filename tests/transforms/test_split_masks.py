"""Fused luminance and masks go separate ways."""

import torch

from shared_networks.transforms import SplitMasksd


def test_masks_are_taken_off():
    output = torch.arange(3.0).view(3, 1, 1).expand(3, 4, 5)
    d = SplitMasksd()({"pred": output})
    assert torch.equal(d["pred"], torch.zeros(1, 4, 5))
    assert torch.equal(d["masks"], output[1:])


def test_without_masks_nothing_is_added():
    d = SplitMasksd()({"pred": torch.ones(1, 4, 5, 6)})
    assert d["pred"].shape == (1, 4, 5, 6) and "masks" not in d
