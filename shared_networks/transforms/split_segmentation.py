"""Take the one tensor that RMR-Fusion's network returns apart."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from nibabel.affines import voxel_sizes

from shared_networks.metrics.lesions import lesion_components
from shared_networks.utils.number_checks import check_number


class SplitSegmentationd(MapTransform):
    """Leave the label map under its key and put the fused volume under another one.

    The last channel is the fused volume F, the others are the logits S of the classes (Eq. 6). The label map is
    1 x X x Y x Z, uint8, the class with the largest logit; with ``lesion_threshold``, lesion is where the probability
    of lesions reaches it, and the most probable other class elsewhere. Lesions (26-connected) smaller than
    ``smallest_lesion_ml`` become the most probable other class, and are counted. All results keep the meta data of the
    output.

    Args:
        keys: network output, (J + 1) x X x Y x Z.
        fused_key: where the fused volume goes, 1 x X x Y x Z, clamped to [0, 1].
        lesion_class: class of the lesions; None where there is none, which leaves the class with the largest logit.
        lesion_threshold: probability from which a voxel is lesion, in (0, 1); None for the largest logit.
        smallest_lesion_ml: volume of the smallest lesion that stays, in ml; 0 keeps all.
        least_white_matter: share of a lesion's voxels whose most probable other class has to be white matter, in
            [0, 1]; a lesion with less is cortex or ventricle that looks like one, and becomes those classes. 0 keeps
            all.
        white_matter: class of the white matter.
        without_background: never take class 0, for outputs that are masked afterwards: inside a mask of the brain
            there is no background, which networks put on dark CSF at its rim.
        probability_key: where the probability of lesions goes, 1 x X x Y x Z float32; '' for nowhere.
        small_key: where ``count`` and ``volume_ml`` of the small lesions go, where small ones are left out.
        mask_key: brain on the grid of the output, 1 x X x Y x Z; small lesions are counted inside it. '' counts all.

    Raises:
        ValueError: for a threshold outside (0, 1), a negative volume, or a share outside [0, 1].
        InputError: in the call, when the output has no such lesion class.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        fused_key: str = "fused",
        lesion_class: int | None = 4,
        lesion_threshold: float | None = None,
        smallest_lesion_ml: float = 0.0,
        least_white_matter: float = 0.0,
        white_matter: int = 3,
        without_background: bool = False,
        probability_key: str = "",
        small_key: str = "small_lesions",
        mask_key: str = "",
    ) -> None:
        super().__init__(keys)
        if lesion_threshold is not None and not 0.0 < lesion_threshold < 1.0:
            raise ValueError(f"lesion_threshold must be in (0, 1) or None, got {lesion_threshold!r}.")
        if smallest_lesion_ml < 0:
            raise ValueError(f"smallest_lesion_ml must be at least 0, got {smallest_lesion_ml!r}.")
        if not 0.0 <= least_white_matter <= 1.0:
            raise ValueError(f"least_white_matter must be in [0, 1], got {least_white_matter!r}.")
        self.fused_key = fused_key
        self.lesion_class = lesion_class
        self.lesion_threshold = lesion_threshold
        self.smallest_lesion_ml = smallest_lesion_ml
        self.least_white_matter, self.white_matter = least_white_matter, white_matter
        self.without_background = without_background
        self.probability_key = probability_key
        self.small_key = small_key
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the label map under the key and the fused volume under ``fused_key``."""
        d = dict(data)
        for key in self.key_iterator(d):
            output = d[key]
            d[self.fused_key] = output[-1:].float().clamp(0.0, 1.0)
            logits = output[:-1]
            if self.without_background:
                logits = torch.cat([torch.full_like(logits[:1], -torch.inf), logits[1:]])
            rules = (self.lesion_threshold, self.smallest_lesion_ml, self.least_white_matter, self.probability_key)
            if self.lesion_class is None or not any(rules):
                d[key] = logits.argmax(dim=0, keepdim=True).to(torch.uint8)
                continue
            check_number("lesion_class", self.lesion_class, least=0, below=len(logits), whole=True)
            probability = logits.float().softmax(dim=0)[self.lesion_class : self.lesion_class + 1]
            others = logits.clone()
            others[self.lesion_class] = -torch.inf
            others = others.argmax(dim=0, keepdim=True)
            if self.lesion_threshold is None:
                lesion = logits.argmax(dim=0, keepdim=True) == self.lesion_class
            else:
                lesion = probability >= self.lesion_threshold
            lesion, small = self._kept(lesion, others, output, d[self.mask_key] if self.mask_key else None)
            if small is not None:
                d[self.small_key] = small
            d[key] = torch.where(lesion, self.lesion_class, others).to(torch.uint8)
            if self.probability_key:
                d[self.probability_key] = probability
        return d

    def _kept(
        self, lesion: torch.Tensor, others: torch.Tensor, output: torch.Tensor, brain: torch.Tensor | None
    ) -> tuple[torch.Tensor, dict[str, float] | None]:
        """The lesions that stay, and the small ones in numbers; voxels are 1 mm wide where there is no affine."""
        if not self.smallest_lesion_ml and not self.least_white_matter:
            return lesion, None
        one_ml = voxel_ml(output)
        parts, voxels = lesion_components(np.asarray(lesion.cpu())[0] > 0)

        def within(mask: np.ndarray) -> np.ndarray:
            """Voxels of every lesion that are in a mask."""
            return np.bincount(parts[mask], minlength=voxels.size + 1)[1:]

        # Half a voxel's rounding must not decide about a lesion that is exactly as large.
        large = voxels * one_ml >= self.smallest_lesion_ml * (1 - 1e-6)
        matter = within(np.asarray(others.cpu())[0] == self.white_matter)
        keep = np.append(False, large & (matter >= self.least_white_matter * voxels * (1 - 1e-6)))
        small = (voxels if brain is None else within(np.asarray(brain.cpu())[0] > 0))[~large]
        counted = {"count": int(np.count_nonzero(small)), "volume_ml": round(float(small.sum()) * one_ml, 4)}
        kept = torch.zeros_like(lesion) + torch.as_tensor(keep[parts], device=lesion.device)[None]
        return kept, counted if self.smallest_lesion_ml else None


def voxel_ml(image: torch.Tensor) -> float:
    """Volume of a voxel in ml; voxels are 1 mm wide where there is no affine."""
    sizes = voxel_sizes(np.asarray(image.affine)) if isinstance(image, MetaTensor) else np.ones(3)
    return float(np.prod(sizes)) / 1000.0
