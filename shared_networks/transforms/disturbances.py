"""What a pair of pictures may suffer before fusion: noise, and a registration that is off."""

import hashlib
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform


class DisturbPaird(MapTransform):
    """Add noise to both pictures of 2 x H x W in [0, 1] and shift the second one, the same for a case whenever it is
    made.

    ``noise_std`` is the standard deviation of the Gaussian noise, whose seed is ``seed`` with the case's name; the
    result is clamped to [0, 1]. The second picture moves by ``shift`` pixels towards higher columns; its first column
    fills the gap. Raises ValueError for a negative strength.
    """

    def __init__(
        self, keys: KeysCollection, noise_std: float = 0.0, shift: int = 0, seed: int = 0, case_key: str = "case"
    ) -> None:
        super().__init__(keys)
        if noise_std < 0 or shift < 0:
            raise ValueError(f"noise_std and shift must not be negative, got {noise_std} and {shift}.")
        self.noise_std = noise_std
        self.shift = shift
        self.seed = seed
        self.case_key = case_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return ``data`` with the disturbed pair."""
        d = dict(data)
        name = hashlib.sha256(f"{self.seed} {d[self.case_key]}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(name[:7], "big"))
        for key in self.key_iterator(d):
            pair = torch.as_tensor(d[key]).clone()
            second, width = pair[1], pair.shape[-1]
            columns = (torch.arange(width) - self.shift).clamp(min=0)
            pair[1] = second[:, columns]
            if self.noise_std:
                noise = torch.randn(pair.shape, generator=generator, dtype=pair.dtype)
                pair = (pair + self.noise_std * noise).clamp(0, 1)
            d[key] = pair
        return d
