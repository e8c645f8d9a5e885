"""Random removal of lesions, so that a network sees brains with few of them."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform, Randomizable
from monai.utils import convert_to_dst_type
from nibabel.affines import voxel_sizes
from scipy import ndimage

from shared_networks.metrics.lesions import lesion_components


def scale_within(image: np.ndarray, brain: np.ndarray, lower: float, upper: float) -> np.ndarray:
    """Scale so that two percentiles of the brain X x Y x Z become 0 and 1, and clip; 0 outside the brain."""
    low, high = np.percentile(image[brain], [lower, upper])
    return np.clip((image - low) / max(high - low, 1e-6), 0.0, 1.0) * brain


class RandHealLesionsd(Randomizable, MapTransform):
    """Replace lesions by white matter like that around them, then scale the intensities anew.

    Intensities are scaled by percentiles, and lesions lie above the upper one: the fewer there are, the brighter
    everything else becomes. Without lesions the cortex of a FLAIR image comes close to 1, where lesions are in a brain
    that has many. People with lesions are what training data consist of, so that a network never sees this and takes
    such cortex for lesion. A random part of the lesions is healed here: each connected lesion stays with a probability
    that is itself drawn for every image, from ``kept``.

    A healed voxel, or one of white matter within ``rim`` of it, gets the local mean of the white matter that is further
    away from lesions (Gaussian, sigma 5 mm) and noise of its robust spread, with a soft border. No other voxel changes
    but by the scaling.

    Args:
        keys: images C x X x Y x Z in [0, 1], MetaTensor.
        label_key: where the label map 1 x X x Y x Z is.
        mask_key: where the mask of the brain 1 x X x Y x Z is, whose percentiles count.
        prob: probability that an image is changed.
        kept: range of the probability with which a lesion stays.
        lesions: label values that count as lesion.
        white_matter: label value of white matter, which healed voxels get.
        rim: mm around a lesion in which white matter is not normal.
        lower: percentile of the brain that becomes 0.
        upper: percentile of the brain that becomes 1.
    """

    def __init__(
        self,
        keys: KeysCollection,
        label_key: str = "label",
        mask_key: str = "brain",
        prob: float = 0.5,
        kept: Sequence[float] = (0.0, 0.5),
        lesions: Collection[int] = (4,),
        white_matter: int = 3,
        rim: float = 2.0,
        lower: float = 0.5,
        upper: float = 99.5,
    ) -> None:
        MapTransform.__init__(self, keys)
        self.label_key, self.mask_key = label_key, mask_key
        self.prob, self.kept = prob, kept
        self.lesions, self.white_matter, self.rim = list(lesions), white_matter, rim
        self.lower, self.upper = lower, upper

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with images and label map changed, or as it was."""
        d = dict(data)
        if self.R.rand() >= self.prob:
            return d
        label = np.asarray(d[self.label_key])[0]
        lesions, sizes = lesion_components(np.isin(label, self.lesions))
        healed = np.append(False, self.R.rand(sizes.size) >= self.R.uniform(*self.kept))[lesions]
        if not healed.any():
            return d
        brain = np.asarray(d[self.mask_key])[0] > 0
        for key in self.key_iterator(d):
            spacing = voxel_sizes(np.asarray(d[key].affine))
            weight, normal = self._white_matter(label, lesions > 0, healed, spacing)
            channels = [
                scale_within(self._filled(channel, weight, normal, spacing), brain, self.lower, self.upper)
                for channel in np.asarray(d[key])
            ]
            d[key] = convert_to_dst_type(np.stack(channels), d[key])[0]
        d[self.label_key] = convert_to_dst_type(np.where(healed, self.white_matter, label)[None], d[self.label_key])[0]
        return d

    def _white_matter(
        self, label: np.ndarray, lesions: np.ndarray, healed: np.ndarray, spacing: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Share in [0, 1] of every voxel that is replaced, and the normal white matter."""
        matter = (label == self.white_matter) | lesions
        near = ndimage.distance_transform_edt(~healed, spacing) <= self.rim
        weight = ndimage.gaussian_filter((near & matter).astype(np.float32), 0.5 / spacing, truncate=3) * matter
        weight[healed] = 1.0
        normal = (label == self.white_matter) & (ndimage.distance_transform_edt(~lesions, spacing) > self.rim)
        return weight, normal

    def _filled(self, image: np.ndarray, weight: np.ndarray, normal: np.ndarray, spacing: np.ndarray) -> np.ndarray:
        if not normal.any():
            return image

        def smooth(values: np.ndarray) -> np.ndarray:
            return ndimage.gaussian_filter(values.astype(np.float32), 5.0 / spacing, truncate=3)

        known = smooth(normal)
        mean = np.where(known > 1e-3, smooth(image * normal) / np.maximum(known, 1e-3), image[normal].mean())
        # Neighbouring voxels of a scan are alike; the median keeps voxels that are partly cortex from counting.
        noise = ndimage.gaussian_filter(self.R.standard_normal(image.shape).astype(np.float32), (0.6, 0.6, 0.0))
        noise *= 1.4826 * np.median(np.abs(image - mean)[normal]) / noise.std()
        return image + weight * (mean + noise - image)
