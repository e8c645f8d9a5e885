"""Fusion of dual-tree complex wavelet coefficients, of pictures and of volumes, by the optional package dtcwt."""

from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from shared_networks.errors import InputError


class _NumpyWithRemovedNames:
    """NumPy with the two functions that NumPy 2 has removed and dtcwt 0.14 calls."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def asfarray(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
        inexact = np.issubdtype(dtype, np.inexact)
        return np.asarray(values, dtype=dtype if inexact else np.float64)

    @staticmethod
    def issubsctype(first: np.dtype, second: type) -> bool:
        return np.issubdtype(first, second)


def _import_dtcwt() -> ModuleType:
    try:
        import dtcwt
        import dtcwt.utils
    except ImportError as error:
        raise InputError(
            "the dual-tree wavelet fusion needs the package dtcwt: pip install --no-deps dtcwt six"
        ) from error
    if not hasattr(np, "asfarray"):
        dtcwt.utils.np = _NumpyWithRemovedNames()
    return dtcwt


class DualTreeFusion(nn.Module):
    """Larger wavelet coefficient, mean of the lowpass bands (Lewis et al., Information Fusion 2007).

    The transform is that of Kingsbury (Appl. Comput. Harmon. Anal. 2001) in two dimensions and of Chen and Kingsbury
    (IEEE Trans. Image Process. 2012) in three, from the package dtcwt; it runs on the CPU in double precision.

    Args:
        levels: number of wavelet levels.

    Raises:
        InputError: when dtcwt is not installed.

    Example:
        >>> DualTreeFusion()(torch.rand(1, 2, 33, 47)).shape
        torch.Size([1, 1, 33, 47])
    """

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        self.levels = levels
        self._package = _import_dtcwt()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """B x 2 x H x W or B x 2 x X x Y x Z in [0, 1] -> B x 1 x the same, in [0, 1]; any size."""
        items = [self._fuse(*item) for item in image.detach().cpu().double().numpy()]
        return torch.from_numpy(np.stack(items))[:, None].to(image)

    def _fuse(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        transform = self._package.Transform2d() if first.ndim == 2 else self._package.Transform3d()
        multiple = 2**self.levels
        padding = [(0, -size % multiple) for size in first.shape]
        pyramids = [transform.forward(np.pad(source, padding, mode="edge"), self.levels) for source in (first, second)]
        fused = self._package.Pyramid(
            sum(pyramid.lowpass for pyramid in pyramids) / 2,
            tuple(
                np.where(np.abs(one) >= np.abs(other), one, other)
                for one, other in zip(*(pyramid.highpasses for pyramid in pyramids), strict=True)
            ),
        )
        whole = transform.inverse(fused)
        return whole[tuple(slice(size) for size in first.shape)].clip(0, 1)
