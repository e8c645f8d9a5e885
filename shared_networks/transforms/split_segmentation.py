"""Take the one tensor that RMR-Fusion's network returns apart."""

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_tensor

from shared_networks.transforms.lesion_rules import lesion_evidence, lesions_by_rule, probable_lesions, voxel_ml
from shared_networks.utils.number_checks import check_number


class SplitSegmentationd(MapTransform):
    """Leave the label map under its key and put the fused volume under another one.

    The last channel is the fused volume F, the others are the logits S of the classes (Eq. 6). The label map is
    1 x X x Y x Z, uint8, the class with the largest logit; with ``lesion_threshold``, lesion is where the probability
    of lesions reaches it, and the most probable other class elsewhere. With ``lesion_brightness``, voxels that are
    bright on FLAIR have a threshold of their own. Lesions that :func:`lesions_by_rule` rejects become the most probable
    other class; the small ones are counted. All results keep the meta data of the output.

    Args:
        keys: network output, (J + 1) x X x Y x Z.
        fused_key: where the fused volume goes, 1 x X x Y x Z, clamped to [0, 1].
        lesion_class: class of the lesions; None where there is none, which leaves the class with the largest logit.
        lesion_threshold: probability from which a voxel is lesion, in (0, 1); None for the largest logit.
        bright_lesion_threshold: the same for bright voxels, in (0, 1); only with ``lesion_threshold``, and without
            effect where it is higher than that.
        lesion_brightness: :func:`flair_brightness` above which a voxel is bright, and from which on a lesion stays
            wherever it is, above 0; None where brightness does not count.
        smallest_lesion_ml: volume of the smallest lesion that stays, in ml; 0 keeps all.
        least_white_matter: share of a lesion's voxels whose most probable other class has to be white matter, in
            [0, 1], if it is not bright; 0 keeps all.
        grey_matter: class of the grey matter.
        white_matter: class of the white matter.
        without_background: never take class 0, for outputs that are masked afterwards: inside a mask of the brain
            there is no background, which networks put on dark CSF at its rim.
        probability_key: where the probability of lesions goes, 1 x X x Y x Z float32; '' for nowhere.
        small_key: where ``count`` and ``volume_ml`` of the small lesions go, where small ones are left out.
        mask_key: brain on the grid of the output, 1 x X x Y x Z; small lesions are counted inside it. '' counts all.
        image_key: what the network saw, 2 x X x Y x Z, FLAIR second; for the brightness.

    Raises:
        ValueError: for a threshold outside (0, 1), a brightness that is not above 0, a negative volume, or a share
            outside [0, 1].
        InputError: in the call, when the output has no such lesion class.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        fused_key: str = "fused",
        lesion_class: int | None = 4,
        lesion_threshold: float | None = None,
        bright_lesion_threshold: float | None = None,
        lesion_brightness: float | None = None,
        smallest_lesion_ml: float = 0.0,
        least_white_matter: float = 0.0,
        grey_matter: int = 2,
        white_matter: int = 3,
        without_background: bool = False,
        probability_key: str = "",
        small_key: str = "small_lesions",
        mask_key: str = "",
        image_key: str = "image",
    ) -> None:
        super().__init__(keys)
        thresholds = {"lesion_threshold": lesion_threshold, "bright_lesion_threshold": bright_lesion_threshold}
        for name, value in thresholds.items():
            if value is not None and not 0.0 < value < 1.0:
                raise ValueError(f"{name} must be in (0, 1) or None, got {value!r}.")
        # A missing FLAIR has a brightness of 0 everywhere: nothing of it may count as bright.
        if lesion_brightness is not None and not lesion_brightness > 0:
            raise ValueError(f"lesion_brightness must be above 0 or None, got {lesion_brightness!r}.")
        if smallest_lesion_ml < 0:
            raise ValueError(f"smallest_lesion_ml must be at least 0, got {smallest_lesion_ml!r}.")
        if not 0.0 <= least_white_matter <= 1.0:
            raise ValueError(f"least_white_matter must be in [0, 1], got {least_white_matter!r}.")
        self.fused_key = fused_key
        self.lesion_class = lesion_class
        self.lesion_threshold, self.bright_lesion_threshold = lesion_threshold, bright_lesion_threshold
        self.lesion_brightness = lesion_brightness
        self.smallest_lesion_ml = smallest_lesion_ml
        self.least_white_matter = least_white_matter
        self.grey_matter, self.white_matter = grey_matter, white_matter
        self.without_background = without_background
        self.probability_key = probability_key
        self.small_key = small_key
        self.mask_key, self.image_key = mask_key, image_key

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
            flair = None
            if self.lesion_brightness is not None:
                flair = convert_to_tensor(d[self.image_key][1:2], track_meta=False, device=logits.device)
            probability, others, brightness = lesion_evidence(logits, flair, self.lesion_class, self.grey_matter)
            if self.lesion_threshold is None:
                lesion = logits.argmax(dim=0, keepdim=True) == self.lesion_class
            else:
                least = self.lesion_brightness
                lesion = probable_lesions(
                    probability, brightness, self.lesion_threshold, self.bright_lesion_threshold, least
                )
            if self.smallest_lesion_ml or self.least_white_matter:
                lesion, small = self._kept(d, lesion, others, brightness, voxel_ml(output))
                if self.smallest_lesion_ml:
                    d[self.small_key] = small
            d[key] = torch.where(lesion, self.lesion_class, others).to(torch.uint8)
            if self.probability_key:
                d[self.probability_key] = probability
        return d

    def _kept(
        self,
        data: Mapping[Hashable, Any],
        lesion: torch.Tensor,
        others: torch.Tensor,
        brightness: torch.Tensor | None,
        one_ml: float,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        stays, small = lesions_by_rule(
            lesion[0].cpu().numpy() > 0,
            others[0].cpu().numpy() == self.white_matter,
            None if brightness is None else brightness[0].cpu().numpy(),
            one_ml,
            self.smallest_lesion_ml,
            self.least_white_matter,
            self.lesion_brightness or 0.0,
            data[self.mask_key][0].cpu().numpy() > 0 if self.mask_key else None,
        )
        return torch.zeros_like(lesion) + torch.as_tensor(stays, device=lesion.device)[None], small
