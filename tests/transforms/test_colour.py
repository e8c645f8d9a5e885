"""Colour of fused pictures, and luminance of saved ones."""

import pytest
import torch

from shared_networks.io.colour import rgb_to_ycbcr, ycbcr_to_rgb
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


def test_fused_picture_keeps_the_chroma_where_nothing_is_clipped():
    luminance, chroma = rgb_to_ycbcr(torch.rand(3, 30, 30))
    pred = (luminance * 0.5 + 0.25).clone()
    fused = FuseColourd()({"pred": pred, "chroma": chroma})["fused"]
    raw = ycbcr_to_rgb(pred, chroma)
    inside = ((raw > 0) & (raw < 1)).all(dim=0)
    assert inside.float().mean() > 0.3
    got_luminance, got_chroma = rgb_to_ycbcr(fused)
    assert torch.allclose(got_luminance[0][inside], pred[0][inside], atol=1e-5)
    assert torch.allclose(got_chroma[:, inside], chroma[:, inside], atol=1e-3)
    assert fused.min() >= 0 and fused.max() <= 1


def test_grey_pair_gives_the_luminance_itself():
    pred = torch.rand(1, 8, 9)
    d = FuseColourd()({"pred": pred, "chroma": torch.full((2, 8, 9), 128.0)})
    assert torch.equal(d["fused"], pred) and torch.equal(d["pred"], pred)
    stretched = FuseColourd(stretch=True)({"pred": pred, "chroma": torch.full((2, 8, 9), 128.0)})["fused"]
    assert stretched.min() == 0 and stretched.max() == 1
