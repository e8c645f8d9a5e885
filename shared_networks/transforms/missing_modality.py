"""One of two modalities is not there: for training that prepares a network for it, and for measuring what it costs."""

from collections.abc import Hashable, Mapping
from typing import Any, Literal

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform


class DropModalityd(MapTransform):
    """Set one channel to 0, as the loader does with a modality that was not given.

    With ``brain_key``, the brain becomes the foreground of the modality that is left, as it would be without the other.

    Args:
        keys: images, 2 x spatial.
        channel: the modality that is missing.
        brain_key: mask, 1 x spatial; '' leaves it as it is.
        foreground_key: foreground of each modality, 2 x spatial, as
            :class:`shared_networks.transforms.LoadModalitiesd` gives it.

    Raises:
        ValueError: when the channel is not 0 or 1.
    """

    def __init__(
        self,
        keys: KeysCollection,
        channel: Literal[0, 1],
        brain_key: str = "",
        foreground_key: str = "foreground",
    ) -> None:
        super().__init__(keys)
        self.brain_key = brain_key
        self.foreground_key = foreground_key
        if channel not in (0, 1):
            raise ValueError(f"channel must be 0 or 1, got {channel!r}.")
        self.channel = channel

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the channel at 0; the input is not changed."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = d[key].clone()
            d[key][self.channel] = 0
        if self.brain_key:
            left = 1 - self.channel
            d[self.brain_key] = d[self.foreground_key][left : left + 1].clone()
        return d


class RandModalityDropoutd(RandomizableTransform, MapTransform):
    """Modality dropout: sometimes, the network sees one of the two modalities only.

    What it sees goes to ``output_key``, with the lost channel at 0. In the image itself, which the fusion loss compares
    with, the remaining modality stands in for the lost one: a fused volume of one modality is that modality, and
    nothing is to be made up.

    Args:
        keys: images that the loss compares with, 2 x spatial.
        input_key: what the network would see otherwise, e.g. the degraded image; '' for the image.
        output_key: where what it sees goes.
        prob: how often a modality is lost; each of the two half of the time.
    """

    def __init__(
        self, keys: KeysCollection = "image", input_key: str = "", output_key: str = "available", prob: float = 0.3
    ) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self, prob)
        self.input_key = input_key
        self.output_key = output_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the network's input, and the image changed where a modality is lost."""
        d = dict(data)
        self.randomize(None)
        lost = int(self.R.randint(2)) if self._do_transform else None
        for key in self.key_iterator(d):
            seen: torch.Tensor = d[self.input_key or key].clone()
            if lost is not None:
                seen[lost] = 0
                image = d[key].clone()
                image[lost] = image[1 - lost]
                d[key] = image
            d[self.output_key] = seen
        return d
