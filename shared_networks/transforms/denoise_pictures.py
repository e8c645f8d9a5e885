"""Take noise out of a source picture, where there clearly is some."""

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from scipy import ndimage
from scipy.stats import norm
from skimage.restoration import denoise_nl_means

from shared_networks.errors import join_remarks
from shared_networks.utils.slice_axis import slice_axis

_SECOND_DIFFERENCES = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0
"""Blind to edges and slopes along both axes; the factor leaves white noise its standard deviation."""
_PLACE, _TISSUE, _LEAST_PLACES = 9, 0.08, 200
_QUIETEST, _OF_WHITE_NOISE = 0.1, 0.8127
"""Share of the places that counts; root of that quantile for white noise of standard deviation 1 (4 million pixels)."""
_VALUES = np.linspace(0.0, 3.0, 61)
_MEANS_CUT_AT_0 = norm.pdf(_VALUES) + _VALUES * norm.cdf(_VALUES)
"""What is left of values, on average, when noise of standard deviation 1 is added and the result cut off at 0."""


def estimate_noise(picture: np.ndarray) -> float:
    """Standard deviation of white noise in a picture, after Immerkaer (Computer Vision and Image Understanding 1996).

    The picture, H x W, or volume of slices, H x W x D, is in [0, 1]. Second differences are squared and averaged over 9
    x 9 pixels, wherever these are tissue (their mean is above 0.08: a background that was set to 0 has no noise). The
    tenth with the smallest averages counts, where there is least anatomy. 0 where fewer than 200 places are tissue.
    Noise that was resampled with its picture is correlated and found too small.
    """
    slices = picture if picture.ndim == 3 else picture[..., None]
    place = (_PLACE, _PLACE, 0)
    tissue = ndimage.uniform_filter(slices, place) > _TISSUE
    if np.count_nonzero(tissue) < _LEAST_PLACES:
        return 0.0
    squares = ndimage.uniform_filter(ndimage.convolve(slices, _SECOND_DIFFERENCES[..., None]) ** 2, place)
    return float(np.sqrt(max(np.quantile(squares[tissue], _QUIETEST), 0.0)) / _OF_WHITE_NOISE)


class DenoisePicturesd(MapTransform):
    """Denoise each source by non-local means (scikit-image) when its noise exceeds what anatomy looks like.

    Buades, Coll, Morel, CVPR 2005, with patches of 5 x 5 pixels, looked for within 13 x 13.

    A fusion network keeps the stronger detail of two sources, and noise is detail. Clean pictures stay the same
    object.

    Args:
        keys: pairs, 2 x H x W or 2 x H x W x D (slice by slice, a single slice as it was cut), in [0, 1].
        warning_key: where warnings are, one string; the noise that was found is added to them.
        least_noise: standard deviations from which the MRI and the other source are denoised. The 489 training pairs of
            the Harvard atlas stay below 0.028 and 0.011 as they are: an MRI has finer anatomy.
        largest_noise: standard deviation from which nothing but noise is there, and the source is left alone.
        strength: decay of the weights, in standard deviations of the noise.

    Raises:
        ValueError: when ``least_noise`` or ``strength`` is not positive, or ``largest_noise`` is below ``least_noise``.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        warning_key: str = "warning",
        least_noise: Sequence[float] = (0.03, 0.015),
        largest_noise: float = 0.15,
        strength: float = 0.6,
    ) -> None:
        super().__init__(keys)
        if not 0 < min(least_noise) <= max(least_noise) <= largest_noise or not strength > 0:
            raise ValueError(
                "least_noise and strength must be positive and largest_noise at least least_noise, "
                f"got {least_noise}, {strength} and {largest_noise}."
            )
        self.warning_key = warning_key
        self.least_noise, self.largest_noise, self.strength = tuple(least_noise), largest_noise, strength

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with noisy sources denoised."""
        d = dict(data)
        d.setdefault(self.warning_key, "")
        for key in self.key_iterator(d):
            pair = d[key]
            for channel, which in enumerate(("filename_or_obj", "other_filename")):
                source = np.asarray(pair[channel], dtype=np.float32)
                axis = slice_axis(source.shape, source.ndim - 1)
                source = np.moveaxis(source, axis, -1)
                noise = estimate_noise(source)
                if not self.least_noise[channel] <= noise < self.largest_noise:
                    continue
                if d[key] is pair:
                    d[key] = pair.clone()
                d[key][channel] = torch.from_numpy(np.moveaxis(self._denoised(source, noise), -1, axis)).to(pair.dtype)
                name = Path(getattr(pair, "meta", {}).get(which, "")).name or f"source {channel + 1}"
                remark = f"{name}: noise of {noise:.2f} of the range taken out (denoise_pictures)"
                d[self.warning_key] = join_remarks(d[self.warning_key], remark)
        return d

    def _denoised(self, source: np.ndarray, noise: float) -> np.ndarray:
        def one(picture: np.ndarray) -> np.ndarray:
            h = self.strength * noise
            mean = denoise_nl_means(picture, patch_size=5, patch_distance=6, h=h, sigma=noise, fast_mode=True)
            # Averages of noise that was cut off at 0 are too high where it is dark: a black background would be grey.
            dark = mean < noise * _MEANS_CUT_AT_0[-1]
            return np.where(dark, noise * np.interp(mean / noise, _MEANS_CUT_AT_0, _VALUES), mean)

        if source.ndim == 2:
            return one(source)
        return np.stack([one(picture) for picture in np.moveaxis(source, -1, 0)], axis=-1)
