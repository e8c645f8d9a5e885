"""Colour of the functional image: BT.601 luminance and chroma, and the chroma rule of GeSeNet's Eq. 5.

Values: RGB and luminance lie in [0, 1]; chroma (Cb, Cr) is kept on the 8-bit scale 0..255 with 128 for "no colour",
because that is the scale of the paper's tau.
"""

import torch

NEUTRAL_CHROMA = 128.0
"""Chroma of grey, tau in Eq. 5."""

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
"""BT.601 weights; the chroma scales 1.402 and 1.772 are 2 (1 - red) and 2 (1 - blue)."""


def rgb_to_ycbcr(rgb: torch.Tensor, channel_dim: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Full-range BT.601 conversion (the one of JPEG, ITU-R BT.601-7 without head- and footroom) of 3 channels in [0,
    1].

    Returns luminance in [0, 1] (1 channel) and chroma Cb, Cr in 0..255 (2 channels). Written with differences of
    channels, so that equal channels give exactly that value and exactly neutral chroma.
    """
    red, green, blue = rgb.split(1, dim=channel_dim)
    luminance = green + _RED * (red - green) + _BLUE * (blue - green)
    blue_difference = (_RED * (blue - red) + _GREEN * (blue - green)) / (2 * (1 - _BLUE))
    red_difference = (_GREEN * (red - green) + _BLUE * (red - blue)) / (2 * (1 - _RED))
    chroma = torch.cat([blue_difference, red_difference], dim=channel_dim)
    return luminance, NEUTRAL_CHROMA + 255.0 * chroma


def ycbcr_to_rgb(luminance: torch.Tensor, chroma: torch.Tensor, channel_dim: int = 0) -> torch.Tensor:
    """Inverse of :func:`rgb_to_ycbcr`; not clipped, but within [0, 1] where the two describe a colour that exists."""
    blue_difference, red_difference = ((chroma - NEUTRAL_CHROMA) / 255.0).split(1, dim=channel_dim)
    red = luminance + 2 * (1 - _RED) * red_difference
    blue = luminance + 2 * (1 - _BLUE) * blue_difference
    green = luminance - (_RED * (red - luminance) + _BLUE * (blue - luminance)) / _GREEN
    return torch.cat([red, green, blue], dim=channel_dim)


def fuse_chroma(first: torch.Tensor, second: torch.Tensor, tau: float = NEUTRAL_CHROMA) -> torch.Tensor:
    """Eq. 5 of GeSeNet: the mean of two chroma values in 0..255, each weighted by its distance from ``tau``, that of
    grey.

    ``(C1 |C1 - tau| + C2 |C2 - tau|) / (|C1 - tau| + |C2 - tau|)``; 0/0 is tau. Where one source is grey the result is
    the other one's chroma, bit for bit.
    """
    first_offset, second_offset = first - tau, second - tau
    total = first_offset.abs() + second_offset.abs()
    share = first_offset.abs() / total.clamp_min(torch.finfo(total.dtype).tiny)
    mixed = tau + first_offset * share + second_offset * (1.0 - share)
    return torch.where(second_offset == 0, first, torch.where(first_offset == 0, second, mixed))


def stretch_to_8_bit(picture: torch.Tensor) -> torch.Tensor:
    """What the authors' released script does with its results in [0, 1]: min-max stretch and truncation to 8 bit.

    Minimum and maximum are those of the whole picture over all channels. A constant picture is only truncated. Returns
    multiples of 1/255 in [0, 1].
    """
    lowest, highest = picture.min(), picture.max()
    if highest > lowest:
        picture = (picture - lowest) / (highest - lowest)
    return torch.floor(picture * 255.0) / 255.0
