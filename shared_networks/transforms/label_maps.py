"""From the labels of a data set to the classes of the network, and a check that there are no others."""

from collections.abc import Collection, Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapLabelValue, MapTransform
from monai.utils import convert_to_numpy

from shared_networks.errors import InputError, join_remarks

__all__ = [
    "LABEL_MAPS",
    "LABEL_REMEDY",
    "CheckLabelsd",
    "MapLabelsd",
    "label_values",
    "left_out_labels",
    "refuse_other_labels",
    "whole_labels",
]

LABEL_MAPS: dict[str, dict[int, int]] = {
    # MRBrainS: 1 cortical and 2 basal grey matter, 3 white matter, 4 lesions, 5 CSF in the extremities, 6 ventricles,
    # 7 cerebellum, 8 brain stem, 9 infarction, 10 other.
    "mrbrains": {0: 0, 1: 2, 2: 2, 3: 3, 4: 4, 5: 1, 6: 1, 7: 0, 8: 0, 9: 0, 10: 0},
    "tissue": {0: 0, 1: 1, 2: 2, 3: 3, 4: 4},
    # Prostate158: background, transitional zone, peripheral zone, cancer.
    "prostate": {0: 0, 1: 1, 2: 2, 3: 3},
}
"""Maps by name: value in the file -> class."""

LABEL_REMEDY = "resample the label onto the image's grid by nearest neighbour."
"""What to do about a label on another grid."""

_ROUNDING = 1e-3
"""How far from a whole number a label may be: scaling by a slope, as some programs store labels, leaves less."""


def whole_labels(values: np.ndarray) -> np.ndarray:
    """Labels without the rounding errors of a header's slope; values that are no whole numbers stay as they are.

    Args:
        values: of any shape.
    """
    whole = np.round(values)
    return np.where(np.abs(values - whole) <= _ROUNDING, whole, values)


def label_values(values: np.ndarray, name: str) -> np.ndarray:
    """:func:`whole_labels` as uint8.

    Args:
        values: of any shape.
        name: of the file.

    Raises:
        InputError: for a value that is no whole number in 0..255.
    """
    whole = whole_labels(values)
    wrong = whole[(whole < 0) | (whole > 255) | (whole != np.round(whole))]
    if wrong.size:
        raise InputError(
            f"{name}: value {wrong[0]:g} in the label, expected whole numbers in 0..255: correct the file."
        )
    return whole.astype(np.uint8)


def refuse_other_labels(labels: np.ndarray, allowed: Collection[int] | Mapping | str, name: str) -> None:
    """Refuse labels that are not among the allowed values: a loss would fail on them, or learn a class that is none.

    Args:
        labels: of any shape.
        allowed: values; or a label map, whose values they are, see :class:`MapLabelsd`.
        name: of the file.

    Raises:
        InputError: one line with the values that are not allowed.
    """
    values = _read_map(allowed).keys() if isinstance(allowed, str | Mapping) else {int(value) for value in allowed}
    others = [f"{value:g}" for value in np.unique(labels).tolist() if value not in values]
    if others:
        raise InputError(
            f"{name}: {'value' if len(others) == 1 else 'values'} {', '.join(others[:10])} in the label, expected "
            f"{', '.join(map(str, sorted(values)))}: correct the file, or set classes, label_map or ignore_label."
        )


def left_out_labels(labels: np.ndarray, allowed: Collection[int] | Mapping | str, name: str) -> str:
    """What to say of voxels with an allowed value apart from the classes, which are 0, 1 and so on: not labelled.

    It is said because 255 may as well come from a mask that was saved as 0 and 255.

    Args:
        labels: of any shape.
        allowed: see :func:`refuse_other_labels`; the values of a map all are classes.
        name: of the file.

    Returns:
        One part of a sentence; '' where there are none.
    """
    values = () if isinstance(allowed, str | Mapping) else sorted(allowed)
    apart = [value for value in values if value > 0 and value - 1 not in values]
    counts = [(value, int(np.count_nonzero(labels == value))) for value in apart]
    found = " and ".join(f"{count} voxels of label {value}" for value, count in counts if count)
    return f"{name}: {found} are left out as not labelled" if found else ""


class CheckLabelsd(MapTransform):
    """:func:`refuse_other_labels` and :func:`left_out_labels` for labels that were loaded.

    Args:
        keys: labels, any shape.
        allowed: see :func:`refuse_other_labels`.
        allow_missing_keys: leave items without label alone.
        warning_key: text that remarks are added to.

    Raises:
        InputError: in the call, for other values.
    """

    def __init__(
        self,
        keys: KeysCollection,
        allowed: Collection[int] | Mapping | str,
        allow_missing_keys: bool = False,
        warning_key: str = "warning",
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.allowed = allowed
        self.warning_key = warning_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the remarks."""
        d = dict(data)
        for key in self.key_iterator(d):
            labels, name = np.asarray(d[key]), _file_name(d[key])
            refuse_other_labels(labels, self.allowed, name)
            remark = left_out_labels(labels, self.allowed, name)
            if remark:
                remark += ": set ignore_label to None to refuse them"
                d[self.warning_key] = join_remarks(d.get(self.warning_key, ""), remark)
        return d


class MapLabelsd(MapTransform):
    """Map the values of a label; a value that the map does not know is refused, not passed on.

    Args:
        keys: labels with whole numbers in 0..255, any shape.
        mapping: name of one of :data:`LABEL_MAPS`, or value -> class (JSON's keys may be strings of numbers). The
            classes must be 0..255.
        allow_missing_keys: leave items without label alone.

    Raises:
        InputError: for values that are not in the map (in the call) and for a map that is not one.
    """

    def __init__(
        self, keys: KeysCollection = "label", mapping: str | Mapping = "tissue", allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mapping = _read_map(mapping)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with mapped labels, uint8."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self._map(d[key])
        return d

    def _map(self, label: Any) -> Any:
        values = np.unique(convert_to_numpy(label)).tolist()
        unknown = [f"{value:g}" for value in values if value not in self.mapping]
        if unknown:
            raise InputError(
                f"{_file_name(label)}: values {', '.join(unknown[:10])} are not in the label map; "
                f"expected {', '.join(map(str, sorted(self.mapping)))}: correct the file or set label_map."
            )
        return MapLabelValue(list(self.mapping), list(self.mapping.values()), np.uint8)(label)


def _read_map(mapping: str | Mapping) -> dict[int, int]:
    """A map by name or as it was given.

    Raises:
        InputError: for what is no map.
    """
    if isinstance(mapping, str) and mapping not in LABEL_MAPS:
        raise InputError(f"label map {mapping!r} is unknown; give one of {', '.join(LABEL_MAPS)}, or value: class.")
    pairs = LABEL_MAPS[mapping] if isinstance(mapping, str) else mapping
    try:
        read = {int(value): int(target) for value, target in pairs.items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"label map {mapping!r}: expected whole numbers as values and classes.") from error
    if not all(0 <= number <= 255 for pair in read.items() for number in pair):
        raise InputError(f"label map {mapping!r}: expected values and classes in 0..255.")
    return read


def _file_name(label: Any) -> str:
    return str(label.meta.get("label_filename", "label")) if isinstance(label, MetaTensor) else "label"
