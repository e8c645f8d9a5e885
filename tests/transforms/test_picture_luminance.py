"""Luminance of saved pictures."""

import pytest
import torch

from shared_networks.transforms import FuseColourd, PictureLuminanced


def test_grey_pictures_are_only_rounded():
    picture = torch.tensor([[[0.0, 0.5, 1.0, 100.4 / 255]]])
    result = PictureLuminanced()({"fused": picture})["pred"]
    assert torch.equal(result * 255, torch.tensor([[[0.0, 128.0, 255.0, 100.0]]]))


def test_a_colour_inside_the_cube_keeps_its_luminance_and_one_outside_does_not():
    chroma = torch.tensor([128.0, 228.0]).view(2, 1, 1).expand(2, 1, 2)
    luminance = torch.tensor([[[0.4, 0.9]]])
    data = FuseColourd()({"pred": luminance, "chroma": chroma})
    result = PictureLuminanced()(data)["pred"]
    assert result[0, 0, 0].item() == pytest.approx(0.4, abs=1 / 255)
    # red = 0.9 + 1.402 * 100 / 255 is clipped to 1, green = 0.9 - 0.714136 * 100 / 255 and blue = 0.9 stay.
    clipped = 0.299 + 0.587 * (0.9 - 0.714136 * 100 / 255) + 0.114 * 0.9
    assert result[0, 0, 1].item() == pytest.approx(clipped, abs=1 / 255)
