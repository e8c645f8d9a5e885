"""Take noise out of a source picture, where there clearly is some."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from scipy import ndimage
from scipy.stats import norm
from skimage.restoration import denoise_nl_means

__all__ = ["DenoisePicturesd", "estimate_noise"]

_SECOND_DIFFERENCES = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]]) / 6.0
"""Blind to edges and slopes along both axes; the factor leaves white noise its standard deviation."""
_TISSUE = 0.08
_LEAST_PIXELS = 200
_MEDIAN_OF_NORMAL = float(norm.ppf(0.75))
_VALUES = np.linspace(0.0, 3.0, 61)
_MEANS_CUT_AT_0 = norm.pdf(_VALUES) + _VALUES * norm.cdf(_VALUES)
"""What is left of values, on average, when noise of standard deviation 1 is added and the result cut off at 0."""


def estimate_noise(picture: np.ndarray) -> float:
    """Standard deviation of white noise in a picture (Immerkaer, Computer Vision and Image Understanding 1996).

    The median of the absolute second differences stands for their mean, and only tissue counts (mean above 0.08 of
    5 x 5 pixels): a background that was set to 0 has no noise, wherever the picture's comes from.

    Args:
        picture: H x W or a volume H x W x D of slices, in [0, 1].

    Returns:
        The standard deviation, in the unit of the picture; 0 where fewer than 200 pixels are tissue. Noise that was
        resampled with its picture is correlated and found too small.
    """
    slices = picture if picture.ndim == 3 else picture[..., None]
    tissue = ndimage.uniform_filter(slices, (5, 5, 0)) > _TISSUE
    if np.count_nonzero(tissue) < _LEAST_PIXELS:
        return 0.0
    return float(
        np.median(np.abs(ndimage.convolve(slices, _SECOND_DIFFERENCES[..., None])[tissue])) / _MEDIAN_OF_NORMAL
    )


class DenoisePicturesd(MapTransform):
    """Denoise each source by non-local means (scikit-image) when its noise exceeds what anatomy looks like.

    Buades, Coll, Morel, CVPR 2005, with patches of 5 x 5 pixels, looked for within 13 x 13.

    A fusion network keeps the stronger detail of two sources, and noise is detail. Clean pictures stay the same
    object.

    Args:
        keys: pairs, 2 x H x W or 2 x H x W x D (slice by slice), in [0, 1].
        warning_key: where warnings are, one string; the noise that was found is added to them.
        least_noise: standard deviation from which a source is denoised; 489 training pairs of the Harvard atlas stay
            below 0.034 as they are.
        largest_noise: standard deviation from which nothing but noise is there, and the source is left alone.
        strength: decay of the weights, in standard deviations of the noise.

    Raises:
        ValueError: when ``least_noise`` or ``strength`` is not positive, or ``largest_noise`` is below ``least_noise``.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        warning_key: str = "warning",
        least_noise: float = 0.035,
        largest_noise: float = 0.15,
        strength: float = 0.6,
    ) -> None:
        super().__init__(keys)
        if not 0 < least_noise <= largest_noise or not strength > 0:
            raise ValueError(
                "least_noise and strength must be positive and largest_noise at least least_noise, "
                f"got {least_noise}, {strength} and {largest_noise}."
            )
        self.warning_key = warning_key
        self.least_noise, self.largest_noise, self.strength = least_noise, largest_noise, strength

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with noisy sources denoised."""
        d = dict(data)
        d.setdefault(self.warning_key, "")
        for key in self.key_iterator(d):
            pair = d[key]
            for channel, which in enumerate(("filename_or_obj", "other_filename")):
                source = np.asarray(pair[channel], dtype=np.float32)
                noise = estimate_noise(source)
                if not self.least_noise <= noise < self.largest_noise:
                    continue
                if d[key] is pair:
                    d[key] = pair.clone()
                d[key][channel] = torch.from_numpy(self._denoised(source, noise)).to(pair.dtype)
                name = Path(getattr(pair, "meta", {}).get(which, "")).name or f"source {channel + 1}"
                remark = f"{name}: noise of {noise:.2f} of the range taken out (denoise_pictures)"
                d[self.warning_key] = "; ".join(filter(None, [d[self.warning_key], remark]))
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
