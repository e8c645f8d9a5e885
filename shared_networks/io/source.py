"""What readers return: one source image."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from shared_networks.io.colour import rgb_to_ycbcr


@dataclass
class Source:
    """One source image as it was read.

    Attributes:
        path: where it came from.
        values: grey values or luminance, H x W or X x Y x Z, float32; pictures and colour volumes in [0, 1], grey
            volumes in their own unit.
        chroma: 2 x spatial, 0..255, or None for a grey image.
        affine: voxel to world (RAS) 4 x 4 in mm, or None for a picture.
        bit_depth: 8 or 16 for a picture, 0 for a volume.
        normalised: whether ``values`` are in [0, 1] already.
        patient: id and name that a DICOM series holds, '' otherwise.
        modality: Modality that a DICOM series states (``"CT"``, ``"MR"``, ``"PT"``), '' otherwise.
        window: lowest and highest value of the window that a DICOM file suggests, None without one.
        is_slice: whether the file held one slice without a third axis; ``values`` are X x Y x 1 then.
        cleared: where NaN around the contents became 0, bool of the shape of ``values``; None for nowhere.
        warnings: remarks for the user.
    """

    path: Path
    values: np.ndarray
    chroma: np.ndarray | None = None
    affine: np.ndarray | None = None
    bit_depth: int = 0
    normalised: bool = False
    patient: str = ""
    modality: str = ""
    window: tuple[float, float] | None = None
    is_slice: bool = False
    cleared: np.ndarray | None = None
    warnings: list[str] = field(default_factory=list)


def split_colour(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Channel-last RGB in [0, 1] -> luminance and chroma; chroma None when all three channels are equal everywhere."""
    luminance, chroma = rgb_to_ycbcr(torch.from_numpy(np.moveaxis(rgb, -1, 0).copy()))
    grey = np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])
    return luminance[0].numpy(), None if grey else chroma.numpy()
