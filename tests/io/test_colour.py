"""Colour conversion and Eq. 5 against closed forms, Pillow, and the formula as printed."""

import numpy as np
import pytest
import torch
from PIL import Image

from shared_networks.io.colour import fuse_chroma, rgb_to_ycbcr, stretch_to_8_bit, ycbcr_to_rgb


@pytest.mark.parametrize(
    ("rgb", "luminance", "chroma"),
    [
        ((1.0, 0.0, 0.0), 0.299, (128 - 255 * 0.299 / 1.772, 255.5)),
        ((0.0, 1.0, 0.0), 0.587, (128 - 255 * 0.587 / 1.772, 128 - 255 * 0.587 / 1.402)),
        ((0.0, 0.0, 1.0), 0.114, (255.5, 128 - 255 * 0.114 / 1.402)),
        ((1.0, 1.0, 1.0), 1.0, (128, 128)),
        ((0.0, 0.0, 0.0), 0.0, (128, 128)),
    ],
)
def test_primaries(rgb, luminance, chroma):
    got, got_chroma = rgb_to_ycbcr(torch.tensor(rgb, dtype=torch.float64))
    assert got.item() == pytest.approx(luminance, abs=1e-12)
    assert got_chroma.tolist() == pytest.approx(chroma, abs=1e-9)


def test_agrees_with_pillow_within_its_rounding(noise):
    pixels = noise((40, 30, 3))
    expected = np.asarray(Image.fromarray(pixels).convert("YCbCr"), dtype=np.float64)
    luminance, chroma = rgb_to_ycbcr(torch.from_numpy(pixels).permute(2, 0, 1).double() / 255)
    got = torch.cat([luminance * 255, chroma]).clamp(0, 255).permute(1, 2, 0).numpy()
    assert np.abs(got - expected).max() < 2.0  # Pillow adds three rounded table values and cuts
    assert np.abs(got - expected).mean() < 0.6


def test_every_8_bit_colour_survives_the_round_trip(noise):
    pixels = torch.from_numpy(noise((3, 256, 256)))
    back = ycbcr_to_rgb(*rgb_to_ycbcr(pixels.float() / 255))
    assert torch.equal((back * 255).round().to(torch.uint8), pixels)
    exact = torch.rand(3, 20, 20, dtype=torch.float64)
    assert torch.allclose(ycbcr_to_rgb(*rgb_to_ycbcr(exact)), exact, atol=1e-14)


def test_grey_is_exactly_neutral():
    grey = torch.rand(1, 50, 50)
    luminance, chroma = rgb_to_ycbcr(grey.expand(3, 50, 50))
    assert torch.equal(luminance, grey)
    assert torch.equal(chroma, torch.full((2, 50, 50), 128.0))
    assert torch.equal(ycbcr_to_rgb(luminance, chroma), grey.expand(3, 50, 50))


def test_channel_axis_can_be_chosen():
    rgb = torch.rand(2, 3, 4, 5)
    luminance, chroma = rgb_to_ycbcr(rgb, channel_dim=1)
    assert luminance.shape == (2, 1, 4, 5) and chroma.shape == (2, 2, 4, 5)
    assert torch.allclose(luminance[1], rgb_to_ycbcr(rgb[1])[0])
    assert torch.allclose(ycbcr_to_rgb(luminance, chroma, channel_dim=1), rgb, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (158.0, 118.0, (158 * 30 + 118 * 10) / 40),
        (200.0, 56.0, 128.0),  # equal distances on both sides
        (140.0, 140.0, 140.0),
        (128.0, 128.0, 128.0),  # 0/0
        (0.0, 255.0, (0 * 128 + 255 * 127) / 255),
    ],
)
def test_equation_5(first, second, expected):
    got = fuse_chroma(torch.tensor([first]), torch.tensor([second]))
    assert got.item() == pytest.approx(expected, abs=1e-4)


def test_equation_5_as_printed():
    first, second = (torch.rand(1000, dtype=torch.float64) * 255 for _ in range(2))
    weights = (first - 128).abs(), (second - 128).abs()
    printed = (first * weights[0] + second * weights[1]) / (weights[0] + weights[1])
    assert torch.allclose(fuse_chroma(first, second), printed, atol=1e-9)


def test_grey_source_keeps_the_other_ones_chroma_bit_for_bit():
    chroma = torch.rand(2, 100, 100) * 255
    neutral = torch.full_like(chroma, 128.0)
    assert torch.equal(fuse_chroma(neutral, chroma), chroma)
    assert torch.equal(fuse_chroma(chroma, neutral), chroma)


def test_stretch_is_the_released_rule():
    picture = torch.tensor([[[0.2, 0.4]], [[0.6, 0.3]]])
    # (v - 0.2) / 0.4 = 0, 0.5, 1, 0.25; times 255 = 0, 127.5, 255, 63.75; cut to whole numbers
    assert (stretch_to_8_bit(picture) * 255).round().flatten().tolist() == [0, 127, 255, 63]
    assert torch.equal(stretch_to_8_bit(torch.full((1, 2, 2), 0.5)), torch.full((1, 2, 2), 127 / 255))
