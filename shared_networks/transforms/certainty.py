"""How sure a segmentation is: what the probabilities say beyond the label map."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_numpy, convert_to_tensor

from shared_networks.metrics.lesions import lesion_components
from shared_networks.transforms.lesion_rules import voxel_ml
from shared_networks.utils.number_checks import check_number


class SegmentationCertaintyd(MapTransform):
    """Put numbers about the probabilities inside the brain under ``certainty_key``; the output stays as it is.

    - ``mean_probability``: mean over the brain of the probability of the most probable class.
    - ``uncertain_lesion_ml``: volume where the probability of lesions is in ``uncertain``, in ml.

    Args:
        keys: network output, (J + 1) x X x Y x Z: logits of J classes, then the fused volume.
        brain_key: mask, 1 x X x Y x Z; an empty one gives NaN and 0.
        lesion_class: class of the lesions; None leaves ``uncertain_lesion_ml`` out.
        uncertain: lowest and highest probability, the highest not included.
        certainty_key: where the numbers go.

    Raises:
        InputError: in the call, when the output has no such class.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        brain_key: str = "brain",
        lesion_class: int | None = 4,
        uncertain: Sequence[float] = (0.2, 0.8),
        certainty_key: str = "certainty",
    ) -> None:
        super().__init__(keys)
        self.brain_key = brain_key
        self.lesion_class = lesion_class
        self.uncertain = tuple(uncertain)
        self.certainty_key = certainty_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the numbers."""
        d = dict(data)
        for key in self.key_iterator(d):
            output = convert_to_tensor(d[key], track_meta=False)
            brain = convert_to_tensor(d[self.brain_key], track_meta=False)[0].to(output.device) > 0
            probability = output[:-1, brain].float().softmax(dim=0)
            numbers = {"mean_probability": round(float(probability.amax(dim=0).mean()), 4)}
            if self.lesion_class is not None:
                lowest, highest = self.uncertain
                check_number("lesion_class", self.lesion_class, least=0, below=len(probability), whole=True)
                lesion = probability[self.lesion_class]
                voxels = int(((lesion >= lowest) & (lesion < highest)).sum())
                numbers["uncertain_lesion_ml"] = round(voxels * voxel_ml(d[key]), 4)
            d[self.certainty_key] = numbers
        return d


class LesionIntervald(MapTransform):
    """Add ``lesion_interval_ml`` to the numbers under ``certainty_key``, see :func:`lesion_interval`.

    Args:
        keys: label map, 1 x X x Y x Z.
        probability_key: probability of lesions, the same shape.
        lesion_class: class of the lesions.
        thresholds: the lower and the higher probability.
        certainty_key: dict of numbers; made when missing.
        delete_probability: remove the probability afterwards.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        probability_key: str = "lesion_probability",
        lesion_class: int = 4,
        thresholds: Sequence[float] = (0.5, 0.95),
        certainty_key: str = "certainty",
        delete_probability: bool = False,
    ) -> None:
        super().__init__(keys)
        self.probability_key = probability_key
        self.lesion_class = lesion_class
        self.thresholds = tuple(thresholds)
        self.certainty_key = certainty_key
        self.delete_probability = delete_probability

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the interval."""
        d = dict(data)
        for key in self.key_iterator(d):
            lesion = convert_to_numpy(d[key])[0] == self.lesion_class
            probability = convert_to_numpy(d[self.probability_key])[0]
            voxels = lesion_interval(lesion, probability, self.thresholds)
            interval = [round(count * voxel_ml(d[key]), 4) for count in voxels]
            d[self.certainty_key] = {**d.get(self.certainty_key, {}), "lesion_interval_ml": interval}
        if self.delete_probability:
            d.pop(self.probability_key, None)
        return d


def lesion_interval(
    lesion: np.ndarray, probability: np.ndarray, thresholds: Sequence[float] = (0.5, 0.95)
) -> tuple[int, int]:
    """How far the size of the lesions depends on the threshold: fewest and most voxels.

    The fewest are those of the lesions where the probability is at least the higher threshold; the most are the lesions
    with all voxels of at least the lower threshold that are connected with them (26 neighbours). That is about the edge
    of the lesions that were found. It is no confidence interval, and says nothing of lesions that were missed.

    Args:
        lesion: bool, X x Y x Z.
        probability: of lesions, the same shape.
        thresholds: the lower and the higher one.
    """
    lowest, highest = thresholds
    fewest = int(np.count_nonzero(lesion & (probability >= highest)))
    parts, sizes = lesion_components(lesion | (probability >= lowest))
    return fewest, int(sizes[np.unique(parts[lesion]) - 1].sum())
