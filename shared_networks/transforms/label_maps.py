"""From the labels of a data set to the classes of the network, and a check that there are no others."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform

from shared_networks.errors import InputError

__all__ = ["LABEL_MAPS", "MapLabelsd"]

LABEL_MAPS: dict[str, dict[int, int]] = {
    # MRBrainS: 1 cortical and 2 basal grey matter, 3 white matter, 4 lesions, 5 CSF in the extremities, 6 ventricles,
    # 7 cerebellum, 8 brain stem, 9 infarction, 10 other.
    "mrbrains": {0: 0, 1: 2, 2: 2, 3: 3, 4: 4, 5: 1, 6: 1, 7: 0, 8: 0, 9: 0, 10: 0},
    "tissue": {0: 0, 1: 1, 2: 2, 3: 3, 4: 4},
    # Prostate158: background, transitional zone, peripheral zone, cancer.
    "prostate": {0: 0, 1: 1, 2: 2, 3: 3},
}
"""Maps by name: value in the file -> class."""


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
        if isinstance(mapping, str) and mapping not in LABEL_MAPS:
            raise InputError(f"label map {mapping!r} is unknown; give one of {', '.join(LABEL_MAPS)}, or value: class.")
        pairs = LABEL_MAPS[mapping] if isinstance(mapping, str) else mapping
        try:
            self.mapping = {int(value): int(target) for value, target in pairs.items()}
        except (TypeError, ValueError) as error:
            raise InputError(f"label map {mapping!r}: expected whole numbers as values and classes.") from error
        if not all(0 <= number <= 255 for pair in self.mapping.items() for number in pair):
            raise InputError(f"label map {mapping!r}: expected values and classes in 0..255.")

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with mapped labels, uint8."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self._map(d[key])
        return d

    def _map(self, label: Any) -> Any:
        array = np.asarray(label.detach().cpu() if isinstance(label, torch.Tensor) else label)
        values = np.unique(array)
        unknown = [f"{value:g}" for value in values.tolist() if value not in self.mapping]
        if unknown:
            name = label.meta.get("label_filename", "label") if isinstance(label, MetaTensor) else "label"
            raise InputError(
                f"{name}: values {', '.join(unknown[:10])} are not in the label map; "
                f"expected {', '.join(map(str, sorted(self.mapping)))}: correct the file or set label_map."
            )
        table = np.zeros(256, np.uint8)
        for value, target in self.mapping.items():
            table[value] = target
        mapped = torch.from_numpy(table[array.astype(np.uint8)])
        if isinstance(label, MetaTensor):
            return MetaTensor(mapped, meta=label.meta, applied_operations=label.applied_operations)
        return mapped if isinstance(label, torch.Tensor) else mapped.numpy()
