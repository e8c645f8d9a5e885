"""Training cases as a changing set of randomly altered, already encoded versions."""

import copy
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from monai.data.utils import MAX_SEED
from torch.utils.data import Dataset


class RandomVersions(Dataset):
    """Hold altered versions of whole cases, and take crops of them.

    A crop costs almost nothing, what comes before it costs a lot: rotation, bias field and degradation of a whole
    volume, and frozen encoders most of all. So all that is done once for a version of which many crops are taken, and
    in every epoch the oldest versions make room for new ones. Encoded as a whole volume, as in inference, crops also
    have features without the borders that an encoded crop has.

    A version depends on ``seed``, ``rank`` and its number, and its number on the epoch alone: a resumed training sees
    what an uninterrupted one would have seen. MONAI's ``SmartCacheDataset`` keeps what comes before the first random
    transform, not after it.

    :class:`shared_networks.handlers.RenewVersions` calls :meth:`renew` when an epoch starts. Items are made in the
    training's own process: give the data loader ``num_workers=0``.

    Args:
        data: items of the cases; each is read once. Versions are of the first, second ... case in turn.
        load: reads an item, without randomness.
        augment: alters a read item; its random state is set for every version.
        crop: takes a random part of a version.
        versions: how many are held.
        renewed: how many are made anew in an epoch.
        encode: makes features B x C x spatial of an image B x 2 x spatial, without gradient, e.g.
            ``network.encode``. They are kept in half precision under ``features_key``. None for none.
        encode_key: image that is encoded.
        features_key: where the features go.
        device: where the image is encoded.
        seed: of all randomness but the crops', which take the data set's own random state.
        rank: of the process; each one alters its versions in its own way.
        workers: threads that alter the first versions side by side, and those of the next epoch meanwhile; 0 does it
            when the epoch starts, which is best where the training itself needs the CPU.

    Raises:
        ValueError: when there is nothing to hold, or more is to be renewed than is held.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        load: Callable[[Mapping[str, Any]], dict[str, Any]],
        augment: Callable[[dict[str, Any]], dict[str, Any]],
        crop: Callable[[dict[str, Any]], Any],
        versions: int = 24,
        renewed: int = 4,
        encode: Callable[[torch.Tensor], torch.Tensor] | None = None,
        encode_key: str = "image",
        features_key: str = "features",
        device: str | torch.device = "cpu",
        seed: int = 0,
        rank: int = 0,
        workers: int = 0,
    ) -> None:
        if versions < 1 or not 0 <= renewed <= versions:
            raise ValueError(f"versions must be at least 1 and renewed in 0..versions, got {versions} and {renewed}.")
        self.data = list(data)
        self.load, self.augment, self.crop = load, augment, crop
        self.versions, self.renewed = versions, renewed
        self.encode, self.encode_key, self.features_key, self.device = encode, encode_key, features_key, device
        self.seed, self.rank = seed, rank
        self._pool = ThreadPoolExecutor(workers) if workers else None
        self._read: dict[int, dict[str, Any]] = {}
        self._held: dict[int, dict[str, Any]] = {}
        self._coming: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.versions if self.data else 0

    def __getitem__(self, index: int) -> Any:
        """A crop of the version in place ``index``."""
        if not self._held:
            self.renew(1)
        numbers = sorted(self._held)
        return self.crop(dict(self._held[numbers[index]]))

    def numbers(self, epoch: int) -> range:
        """Numbers of the versions that are held in an epoch (from 1)."""
        first = (epoch - 1) * self.renewed
        return range(first, first + self.versions)

    def renew(self, epoch: int) -> None:
        """Hold the versions of this epoch."""
        wanted = self.numbers(epoch)
        for number in [number for number in self._held if number not in wanted]:
            del self._held[number]
        missing = [number for number in wanted if number not in self._held]
        self._begin(missing)
        for number in missing:
            coming = self._coming.pop(number, None)
            self._held[number] = self._encoded(self._altered(number) if coming is None else coming.result())
        self._begin([number for number in self.numbers(epoch + 1) if number not in self._held])

    def _begin(self, numbers: Sequence[int]) -> None:
        """Let the threads, if there are any, alter these versions."""
        if self._pool is None:
            return
        # Cases are read here, so that no two threads read the same one.
        for number in numbers:
            self._case(number)
        self._coming = {
            number: self._coming.get(number) or self._pool.submit(self._altered, number) for number in numbers
        }

    def _case(self, number: int) -> dict[str, Any]:
        place = number % len(self.data)
        if place not in self._read:
            self._read[place] = self.load(self.data[place])
        return self._read[place]

    def _altered(self, number: int) -> dict[str, Any]:
        augment = copy.deepcopy(self.augment)
        state = int(np.random.SeedSequence([self.seed, number, self.rank]).generate_state(1)[0]) % MAX_SEED
        augment.set_random_state(seed=state)
        return augment(dict(self._case(number)))

    @torch.no_grad()
    def _encoded(self, item: dict[str, Any]) -> dict[str, Any]:
        if self.encode is not None:
            image = torch.as_tensor(item[self.encode_key])[None].to(self.device)
            item[self.features_key] = self.encode(image)[0].half().cpu()
        return item
