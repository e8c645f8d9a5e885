"""What the loaders of both bundles share: two sources from what a user names, prepared, and scaled to [0, 1]."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform

from shared_networks.errors import raise_refusal
from shared_networks.io.odd_slices import odd_slices
from shared_networks.io.reading import Source, read_source
from shared_networks.io.source_pair import Preparation, files_of, prepare_pair, read_pair

_MOST_LISTED = 8
_MOST_SAMPLES = 2_000_000
"""Voxels that percentiles are taken of; a larger volume is thinned evenly."""


class LoadSourcesd(MapTransform):
    """Base of the loaders: refuses what the data list refused, and loads what stands under each key.

    It is not a ``LoadImaged``, because MONAI Label replaces the reader of those.

    Args:
        keys: where the paths are and where the image goes.
        warning_key: where the warnings go.
        resample: let grids differ.
        prepare: what is done to both volumes before they are scaled, and says what it did; None does nothing.

    Raises:
        InputError: one line that says what is wrong with which file and what to do. An item with the key ``refused``
            raises its value: the data list found the fault already.
    """

    def __init__(self, keys: KeysCollection, warning_key: str, resample: bool, prepare: Preparation | None) -> None:
        super().__init__(keys)
        self.warning_key = warning_key
        self.resample = resample
        self.prepare = prepare

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the image, and what belongs to it, set."""
        raise_refusal(data)
        d = dict(data)
        for key in self.key_iterator(d):
            self._load(d, key)
        return d

    def depends_on(self, value: Any) -> list[Path]:
        """Every file that the result of a case depends on (:func:`shared_networks.io.source_pair.files_of`)."""
        return files_of(value, self._sibling, self.prepare)

    @abstractmethod
    def _load(self, d: dict[Hashable, Any], key: Hashable) -> None:
        """Load what stands under a key; the results go into the item."""

    @abstractmethod
    def _sibling(self, path: Path) -> Path:
        """The second source beside the first, where a user names one file."""

    def _read_pair(
        self, value: Any, names: Sequence[str], read: Callable[[Path], Source] = read_source
    ) -> tuple[list[Source], str]:
        """Both sources, prepared, and the record of that."""
        return prepare_pair(read_pair(value, names, self._sibling, read), self.prepare, self.resample)


def normalise_volume(
    values: np.ndarray, lower: float = 0.5, upper: float = 99.5, usual: np.ndarray | None = None
) -> np.ndarray:
    """Scale a volume so that two percentiles of its non-zero voxels become 0 and 1, and clip -> float32 of the same
    shape.

    Zero is left out because it is the background of skull-stripped and of cropped images; so is what is not ``usual``
    (bool of the same shape, None for all), see :func:`usual_slices`. Where the percentiles coincide (a mask), minimum
    and maximum of all voxels take their place; a constant volume becomes 0.
    """
    occupied = values[values != 0] if usual is None else values[(values != 0) & usual]
    if occupied.size == 0:
        return np.zeros_like(values, dtype=np.float32)
    occupied = occupied[:: max(1, occupied.size // _MOST_SAMPLES)].astype(np.float64)
    low, high = np.percentile(occupied, [lower, upper])
    if not high > low:
        low, high = float(values.min()), float(values.max())
    if not high > low:
        return np.zeros_like(values, dtype=np.float32)
    return ((values - low) / (high - low)).clip(0.0, 1.0).astype(np.float32)


def usual_slices(source: Source, values: np.ndarray, mask: np.ndarray) -> np.ndarray | None:
    """Voxels that lie in none of the :func:`shared_networks.io.odd_slices.odd_slices`, with a remark; None for all.

    Args:
        source: gets the remark.
        values: X x Y x Z, background 0.
        mask: its contents, bool.
    """
    found = odd_slices(values, mask)
    if not found:
        return None
    usual = np.ones(values.shape, bool)
    facts = []
    for odd in found:
        np.moveaxis(usual, odd.axis, 0)[list(odd.numbers)] = False
        listed = ", ".join(map(str, odd.numbers[:_MOST_LISTED])) + (", ..." if len(odd.numbers) > _MOST_LISTED else "")
        facts.append(f"slices {listed} (from 0) along {'xyz'[odd.axis]} are far {odd.kind} than the others")
    source.warnings.append(
        f"{source.path.name}: {', '.join(facts)}; left out of the scale of grey values: give the volume without the "
        "fault, or cut them off"
    )
    return usual


def darken_to_mid_grey(values: np.ndarray, mid_grey: float) -> np.ndarray:
    """Darken a volume in [0, 1] by a power so that the median of what is above 0 becomes ``mid_grey``; a darker one
    stays.

    Percentiles put most of a skull-stripped T1 or FLAIR close to white, as no reader would set a window. The maximum of
    two such volumes leaves no room for a lesion to stand out.
    """
    occupied = values[values > 0]
    if occupied.size == 0:
        return values
    median = float(np.median(occupied[:: max(1, occupied.size // _MOST_SAMPLES)]))
    if not mid_grey < median < 1.0:
        return values
    return values ** values.dtype.type(np.log(mid_grey) / np.log(median))
