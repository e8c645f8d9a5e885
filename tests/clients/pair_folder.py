"""A folder of picture pairs as GeSeNet's training takes it, for the tests of the clients."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_pair_folder(folder: Path) -> Path:
    """Pairs of pictures of one modality, for training, validation and testing."""
    random = np.random.default_rng(0)
    for part, names in (("train", ("1", "2")), ("val", ("3",)), ("test", ("4",))):
        for side in ("mri", "other"):
            place = folder / "CT" / part / side
            place.mkdir(parents=True)
            for name in names:
                Image.fromarray(random.integers(0, 256, (48, 48), dtype=np.uint8)).save(place / f"{name}.png")
    return folder
