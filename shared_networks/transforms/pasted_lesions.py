"""Random lesions of other cases, so that a network sees more lesions, in more places, than its cases have."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from monai.transforms import Randomizable, Transform
from monai.utils import convert_to_dst_type
from nibabel.affines import voxel_sizes
from scipy import ndimage

from shared_networks.metrics.lesions import lesion_components
from shared_networks.transforms.healed_lesions import scale_within


class _Carved(NamedTuple):
    """A lesion cut out of its donor, on the donor's grid."""

    pasted: np.ndarray
    """Share that is pasted, X x Y x Z in [0, 1]."""
    lesion: np.ndarray
    """Share that is lesion, X x Y x Z in [0, 1]."""
    difference: np.ndarray
    """From the white matter around it, C x X x Y x Z."""


class RandPasteLesionsd(Randomizable, Transform):
    """Paste lesions of a random case into white matter, then scale the intensities anew.

    As in CarveMix (Zhang et al., NeuroImage 271:120041, 2023), what is cut out of the donor is where the signed
    distance to the lesion lies below a random level: half of the time inside the lesion, which makes it smaller, half
    of the time outside, so that a rim of the donor's white matter comes with it. Unlike there, the two heads need no
    common space: a lesion goes to the white matter nearest to the same relative place in the box of the brain, moved at
    random, and is mirrored half of the time. It is resampled to the grid of the image (averaged where that is coarser).
    Its difference from the white matter around it is kept, times the ratio of the contrasts between white matter and
    CSF of the two images. Nothing but white matter and lesions is overwritten.

    Args:
        donors: read cases with the same keys, e.g. a MONAI ``Dataset``.
        image_key: where the image C x X x Y x Z in [0, 1] is, MetaTensor.
        label_key: where the label map 1 x X x Y x Z is.
        mask_key: where the mask of the brain 1 x X x Y x Z is, whose percentiles count.
        prob: probability that an image is changed.
        most: largest number of lesions that are pasted.
        moved: standard deviation in mm, along each axis, of the random movement of a lesion.
        rim: mm of the donor around a lesion that come with it at most.
        lesion: label value of lesions.
        white_matter: label value of white matter.
        fluid: label value of CSF.
        lower: percentile of the brain that becomes 0.
        upper: percentile of the brain that becomes 1.
    """

    def __init__(
        self,
        donors: Sequence[Mapping[str, Any]],
        image_key: str = "image",
        label_key: str = "label",
        mask_key: str = "brain",
        prob: float = 0.5,
        most: int = 8,
        moved: float = 8.0,
        rim: float = 2.0,
        lesion: int = 4,
        white_matter: int = 3,
        fluid: int = 1,
        lower: float = 0.5,
        upper: float = 99.5,
    ) -> None:
        self.donors = donors
        self.image_key, self.label_key, self.mask_key = image_key, label_key, mask_key
        self.prob, self.most, self.moved, self.rim = prob, most, moved, rim
        self.lesion, self.white_matter, self.fluid = lesion, white_matter, fluid
        self.lower, self.upper = lower, upper

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with image and label map changed, or as it was."""
        d = dict(data)
        if self.R.rand() >= self.prob:
            return d
        donor = self.donors[self.R.randint(len(self.donors))]
        image, label = np.array(d[self.image_key]), np.array(d[self.label_key])[0]
        donor_image, donor_label = np.asarray(donor[self.image_key]), np.asarray(donor[self.label_key])[0]
        lesions, sizes = lesion_components(donor_label == self.lesion)
        matter = label == self.white_matter
        if not sizes.size or not matter.any():
            return d
        spacing, donor_spacing = (voxel_sizes(np.asarray(item[self.image_key].affine)) for item in (d, donor))
        gain = self._contrast(image, label) / self._contrast(donor_image, donor_label)
        gain = np.where(np.isfinite(gain), np.clip(gain, 0.5, 2.0), 1.0)
        places = np.argwhere(matter)
        chosen = self.R.choice(sizes.size, min(self.R.randint(1, self.most + 1), sizes.size), replace=False)
        for place, box in enumerate(ndimage.find_objects(lesions)):
            if place in chosen:
                # A whole voxel, so that on an equal grid nothing is interpolated.
                centre = np.array([(side.start + side.stop - 1) // 2 for side in box])
                carved, origin = self._carved(donor_image, donor_label, lesions == place + 1, box, donor_spacing)
                carved = carved._replace(difference=carved.difference * gain[:, None, None, None])
                # Cases are cropped to their brains, so that shapes are boxes.
                wanted = centre / lesions.shape * label.shape + self.R.normal(0.0, self.moved, 3) / spacing
                target = places[np.argmin((((places - wanted) * spacing) ** 2).sum(axis=1))]
                self._paste(image, label, carved, centre - origin, target, donor_spacing, spacing)
        brain = np.asarray(d[self.mask_key])[0] > 0
        scaled = np.stack([scale_within(channel, brain, self.lower, self.upper) for channel in image])
        d[self.image_key] = convert_to_dst_type(scaled, d[self.image_key])[0]
        d[self.label_key] = convert_to_dst_type(label[None], d[self.label_key])[0]
        return d

    def _contrast(self, image: np.ndarray, label: np.ndarray) -> np.ndarray:
        """Difference of white matter and CSF in every channel; NaN without either."""
        matter, fluid = (image[:, label == value] for value in (self.white_matter, self.fluid))
        if not matter.size or not fluid.size:
            return np.full(len(image), np.nan)
        return np.median(matter, axis=1) - np.median(fluid, axis=1)

    def _carved(
        self, image: np.ndarray, label: np.ndarray, lesion: np.ndarray, box: tuple[slice, ...], spacing: np.ndarray
    ) -> tuple[_Carved, np.ndarray]:
        """A lesion with what comes with it, and the first voxel of its crop."""
        margin = np.ceil((self.rim + 1.0) / spacing).astype(int) + 1
        crop = tuple(slice(max(side.start - more, 0), side.stop + more) for side, more in zip(box, margin, strict=True))
        image, label, lesion = image[(slice(None), *crop)], label[crop], lesion[crop]
        inside = ndimage.distance_transform_edt(np.pad(lesion, 1), spacing)[1:-1, 1:-1, 1:-1]
        distance = ndimage.distance_transform_edt(~lesion, spacing) - inside
        level = self.R.uniform(-inside.max() / 2, 0.0) if self.R.rand() < 0.5 else self.R.uniform(0.0, self.rim)
        normal = (label == self.white_matter) & ~lesion
        # A border of 1 mm in which the two images mix.
        pasted = np.clip(level - distance + 0.5, 0.0, 1.0) * (normal | lesion)
        around = image[:, normal] if normal.any() else image.reshape(len(image), -1)
        difference = image - np.median(around, axis=1)[:, None, None, None]
        return _Carved(pasted, (lesion & (distance <= level)).astype(float), difference), np.array(
            [side.start for side in crop]
        )

    def _paste(
        self,
        image: np.ndarray,
        label: np.ndarray,
        carved: _Carved,
        centre: np.ndarray,
        target: np.ndarray,
        donor_spacing: np.ndarray,
        spacing: np.ndarray,
    ) -> None:
        """Change ``image`` and ``label`` where the lesion, whose ``centre`` goes to the voxel ``target``, overlaps."""
        reach = np.ceil(np.array(carved.pasted.shape) * donor_spacing / spacing / 2).astype(int) + 1
        low, high = np.maximum(target - reach, 0), np.minimum(target + reach + 1, label.shape)
        box = tuple(slice(first, last) for first, last in zip(low, high, strict=True))
        ratio = spacing / donor_spacing
        mirror = np.array([self.R.choice([-1.0, 1.0]), 1.0, 1.0])
        steps = np.meshgrid(
            *(np.arange(first, last) - at for first, last, at in zip(low, high, target, strict=True)), indexing="ij"
        )
        coordinates = np.stack(steps) * (ratio * mirror)[:, None, None, None] + centre[:, None, None, None]
        thick = np.maximum(np.round(ratio), 1).astype(int)

        def sampled(values: np.ndarray) -> np.ndarray:
            averaged = ndimage.uniform_filter(values, thick, mode="constant") if (thick > 1).any() else values
            return ndimage.map_coordinates(averaged, coordinates, order=1, mode="constant")

        allowed = np.isin(label[box], (self.white_matter, self.lesion))
        weight = sampled(carved.pasted)
        share = weight * allowed
        normal = label[box] == self.white_matter
        for channel, difference in zip(image, carved.difference, strict=True):
            here = channel[box]
            base = here[normal].mean() if normal.any() else here.mean()
            pasted = sampled(carved.pasted * difference) / np.maximum(weight, 1e-6)
            here += share * (base + pasted - here)
        label[box][(sampled(carved.lesion) > 0.5) & allowed] = self.lesion
