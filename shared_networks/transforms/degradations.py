"""Gaussian noise, Gaussian blur and structure loss (Zhang et al., AAAI 2024), at random and as the paper's mixture."""

import hashlib
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform
from monai.utils import convert_to_dst_type
from scipy.ndimage import gaussian_filter

from shared_networks.transforms.structure_loss import lose_structure


def add_noise(volume: np.ndarray, std: float, random: np.random.RandomState) -> np.ndarray:
    """Add Gaussian noise with mean 0 to a volume of any shape; nothing is clipped."""
    return volume + std * random.standard_normal(volume.shape).astype(volume.dtype)


def blur_slices(volume: np.ndarray, sigma: float) -> np.ndarray:
    """Blur every X-Y slice of X x Y x Z with a Gaussian of ``sigma`` voxels.

    Borders are replicated; MONAI's own filter takes zeros there, which would darken the edges of a crop.
    """
    return gaussian_filter(volume, (sigma, sigma, 0), mode="nearest")


class _RandomDegradation(RandomizableTransform, MapTransform):
    """Common part of the random transforms: the arguments of :class:`RandDegraded` but ``probability``, and one random
    degradation of one volume.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        output_key: str = "degraded",
        noise_std: Sequence[float] = (0.0, 0.1),
        blur_sigma: Sequence[float] = (0.1, 3.0),
        windows: Sequence[int] = (8, 8),
        largest_window: float | Sequence[int] = 0.125,
        swaps: Sequence[int] = (1, 5),
        amplitude_sigma: float = 0.5,
        share: float = 1.0,
    ) -> None:
        RandomizableTransform.__init__(self, share)
        MapTransform.__init__(self, keys)
        self.output_key = output_key
        self.noise_std = noise_std
        self.blur_sigma = blur_sigma
        self.windows = windows
        self.largest_window = largest_window
        self.swaps = swaps
        self.amplitude_sigma = amplitude_sigma

    @abstractmethod
    def negatives(self, image: np.ndarray) -> np.ndarray:
        """2 x X x Y x Z -> 2K x X x Y x Z, both modalities of the first negative, of the second ..."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the negatives added; the image stays."""
        d = dict(data)
        self.randomize(None)
        for key in self.key_iterator(d):
            d[self.output_key] = _like(self._of_any(_array(d[key])), d[key]) if self._do_transform else d[key]
        return d

    def _of_any(self, image: np.ndarray) -> np.ndarray:
        """The negatives of a volume, or of a picture as a volume of one slice."""
        return self.negatives(image[..., None])[..., 0] if image.ndim == 3 else self.negatives(image)

    def blur(self, volume: np.ndarray) -> np.ndarray:
        """Blur X x Y x Z by a random width."""
        return blur_slices(volume, self.R.uniform(*self.blur_sigma))

    def break_structure(self, volume: np.ndarray) -> np.ndarray:
        """Break the structure of X x Y x Z in random windows."""
        for _ in range(self.R.randint(self.windows[0], self.windows[1] + 1)):
            size = [self._side(axis, length) for axis, length in enumerate(volume.shape)]
            corner = [self.R.randint(length - side + 1) for length, side in zip(volume.shape, size, strict=True)]
            volume = lose_structure(volume, corner, size, self.R, self.swaps, self.amplitude_sigma)
        return volume

    def noise(self, volume: np.ndarray) -> np.ndarray:
        """Add noise of random strength to X x Y x Z."""
        return add_noise(volume, self.R.uniform(*self.noise_std) * float(volume.max()), self.R)

    def _side(self, axis: int, length: int) -> int:
        share = self.largest_window
        largest = int(share[axis]) if isinstance(share, Sequence) else int(share * length)
        smallest = min(1 if axis == 2 else 2, length)
        return self.R.randint(smallest, max(smallest, min(largest, length)) + 1)


class RandDegraded(_RandomDegradation):
    """One negative: every degradation with a probability and a random strength, at least one of them.

    The paper's "negative samples by adding three common degradation factors". They come in the order of its mixture
    (blur, structure loss, noise), drawn for each modality by itself. The paper does not state the strengths: the
    defaults reach beyond those of its evaluation (noise 0.04, blur 0.6, one window of 16 x 16 x 4).

    Args:
        keys: images, 2 x X x Y x Z in [0, 1], axes in RAS; or 2 x H x W, a volume of one slice.
        output_key: where the negative goes, as large as the image.
        probability: of each degradation.
        noise_std: range of the noise's standard deviation, as a share of the volume's maximum.
        blur_sigma: range of the blur's standard deviation in voxels.
        windows: least and greatest number of windows that lose their structure.
        largest_window: greatest sides of a window: voxels of each axis, or a share of each axis. A window has at least
            2 voxels in X and Y where the volume has them.
        swaps: see :func:`shared_networks.transforms.structure_loss.lose_structure`.
        amplitude_sigma: the same.
        share: how often there is a degradation at all; otherwise the image itself goes to ``output_key``.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        output_key: str = "degraded",
        probability: float = 0.5,
        noise_std: Sequence[float] = (0.0, 0.1),
        blur_sigma: Sequence[float] = (0.1, 1.5),
        windows: Sequence[int] = (1, 8),
        largest_window: float | Sequence[int] = (16, 16, 4),
        swaps: Sequence[int] = (1, 5),
        amplitude_sigma: float = 0.5,
        share: float = 1.0,
    ) -> None:
        super().__init__(
            keys, output_key, noise_std, blur_sigma, windows, largest_window, swaps, amplitude_sigma, share
        )
        self.probability = probability

    def negatives(self, image: np.ndarray) -> np.ndarray:
        """2 x X x Y x Z -> 2 x X x Y x Z."""
        return np.stack([self._degrade(volume) for volume in image])

    def _degrade(self, volume: np.ndarray) -> np.ndarray:
        chosen = self.R.random_sample(3) < self.probability
        if not chosen.any():
            chosen[self.R.randint(3)] = True
        for wanted, degrade in zip(chosen, (self.blur, self.break_structure, self.noise), strict=True):
            if wanted:
                volume = degrade(volume)
        return volume


class RandDegradeEachd(_RandomDegradation):
    """Three negatives: noise, blur and structure loss, each alone on its own copy, as in the released code.

    Takes the arguments of :class:`RandDegraded` but ``probability``, with the released strengths as defaults: noise up
    to 0.1 of the maximum, blur between 0.1 and 3, eight windows with sides up to 1/8 of the volume. The result under
    ``output_key`` is 6 x X x Y x Z.
    """

    def negatives(self, image: np.ndarray) -> np.ndarray:
        """2 x X x Y x Z -> 6 x X x Y x Z: noisy, blurred, broken."""
        return np.stack(
            [degrade(volume) for degrade in (self.noise, self.blur, self.break_structure) for volume in image]
        )


class DegradeMixtured(MapTransform):
    """The mixture of the paper's robustness evaluation, the same for a case whenever it is made.

    In this order: blur, structure loss in a window that is centred inside the brain, noise; for each modality by
    itself, over the whole volume with its background, and without clipping. The randomness comes from ``seed``, the
    name of the case and the number of the modality alone.

    Args:
        keys: images, 2 x X x Y x Z in [0, 1], axes in RAS.
        output_key: where the degraded image goes; '' replaces the image.
        seed: of the mixture.
        noise_std: standard deviation of the noise (0.04 in the paper).
        blur_sigma: standard deviation of the blur in voxels (0.6 in the paper), in X and Y.
        window_size: a window in X, Y and Z (16, 16 and 4 in the paper); smaller on smaller volumes.
        windows: number of windows with structure loss (1 in the paper), each at a place of its own; 0 for none.
        swaps: see :func:`shared_networks.transforms.structure_loss.lose_structure`.
        amplitude_sigma: the same.
        case_key: where the name of the case is; without it all cases share one stream.
        brain_key: where the mask of the brain is, 1 x X x Y x Z; without it the voxels above 0 are the brain.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        output_key: str = "degraded",
        seed: int = 0,
        noise_std: float = 0.04,
        blur_sigma: float = 0.6,
        window_size: Sequence[int] = (16, 16, 4),
        windows: int = 1,
        swaps: Sequence[int] = (1, 5),
        amplitude_sigma: float = 0.5,
        case_key: str = "case",
        brain_key: str = "brain",
    ) -> None:
        super().__init__(keys)
        self.output_key = output_key
        self.seed = seed
        self.noise_std = noise_std
        self.blur_sigma = blur_sigma
        self.window_size = tuple(window_size)
        self.windows = windows
        self.swaps = swaps
        self.amplitude_sigma = amplitude_sigma
        self.case_key = case_key
        self.brain_key = brain_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the degraded image."""
        d = dict(data)
        case = hashlib.sha256(str(d.get(self.case_key, "")).encode()).digest()
        for key in self.key_iterator(d):
            image = _array(d[key])
            brain = _array(d[self.brain_key])[0] > 0 if self.brain_key in d else (image > 0).any(axis=0)
            channels = []
            for number, volume in enumerate(image):
                source = np.random.MT19937(np.random.SeedSequence([self.seed, number, *case]))
                channels.append(self._degrade(volume, brain, np.random.RandomState(source)))
            d[self.output_key or key] = _like(np.stack(channels), d[key])
        return d

    def _degrade(self, volume: np.ndarray, brain: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        volume = blur_slices(volume, self.blur_sigma)
        size = [min(pair) for pair in zip(self.window_size, volume.shape, strict=True)]
        for _ in range(self.windows):
            corner = _corner_in_brain(brain, size, random)
            volume = lose_structure(volume, corner, size, random, self.swaps, self.amplitude_sigma)
        return add_noise(volume, self.noise_std, random)


def _corner_in_brain(brain: np.ndarray, size: Sequence[int], random: np.random.RandomState) -> list[int]:
    """Lowest index of a window inside the volume whose centre is a random voxel of the brain (any, if none will do)."""
    span = [slice(side // 2, n - side + side // 2 + 1) for side, n in zip(size, brain.shape, strict=True)]
    centres = brain[tuple(span)]
    inside = np.flatnonzero(centres)
    chosen = inside[random.randint(inside.size)] if inside.size else random.randint(centres.size)
    return [int(index) for index in np.unravel_index(chosen, centres.shape)]


def _array(image: Any) -> np.ndarray:
    return np.asarray(image.detach().cpu() if isinstance(image, torch.Tensor) else image)


def _like(array: np.ndarray, image: Any) -> Any:
    """The array as the kind of tensor that ``image`` is, with its meta data."""
    return convert_to_dst_type(array, image)[0]
