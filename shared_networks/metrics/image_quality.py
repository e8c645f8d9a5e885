"""How noisy and how blurred an image is, by what the autoencoder of RMR-Fusion makes of it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F

QUALITY_BOX = (84, 84, 14)
"""Sides of the part of the brain that is looked at, in voxels: whole windows (14) of the encoder."""

_RIM = 3
"""Voxels from the edge of the brain, in the plane, that do not count: what is cut off there looks like an edge."""
_LEAST_VOXELS = 1000


def central_box(brain: torch.Tensor, sides: Sequence[int] = QUALITY_BOX) -> tuple[slice, ...]:
    """The box around the centre of mass of a brain, moved into the volume and cut where the volume is smaller.

    The mask is X x Y x Z, one without voxels gives the middle of the volume; ``sides`` are in voxels.
    """
    corner = []
    for axis, (side, length) in enumerate(zip(sides, brain.shape, strict=True)):
        profile = brain.sum(dim=[other for other in range(3) if other != axis], dtype=torch.float64)
        places = torch.arange(length, dtype=torch.float64, device=profile.device)
        total = float(profile.sum())
        centre = float((profile * places).sum()) / total if total else (length - 1) / 2
        corner.append(max(0, min(round(centre) - side // 2, length - side)))
    return tuple(
        slice(start, min(start + side, length)) for start, side, length in zip(corner, sides, brain.shape, strict=True)
    )


def detail_scores(image: torch.Tensor, reconstruction: torch.Tensor, where: torch.Tensor) -> tuple[float, float]:
    """Noise and blur of one volume, both without unit and independent of the image's scale.

    - noise: how much the fine detail (what a Gaussian of one voxel in the plane takes away) of reconstruction less
      image is like Gaussian noise: its standard deviation by the median (median of the absolute values / 0.6745) over
      the one by the squares. 1 for Gaussian noise; edges have few large values and many small ones, which gives less.
    - blur: mean in-plane gradient of the reconstruction over that of the image. The autoencoder was trained to give a
      sharp image back: the less there is left to smooth, the higher the ratio.

    Args:
        image: X x Y x Z.
        reconstruction: the same shape.
        where: bool, the same shape: voxels that count.

    Returns:
        (noise, blur); NaN where fewer than 1000 voxels count or the image is constant.
    """
    if int(where.sum()) < _LEAST_VOXELS:
        return float("nan"), float("nan")
    detail = _detail(reconstruction - image)[where]
    spread = float(detail.square().mean().sqrt())
    gradient = float(_gradient(image)[where].mean())
    if spread == 0.0 or gradient == 0.0:
        return float("nan"), float("nan")
    noise = float(detail.abs().median()) / 0.6745 / spread
    return noise, float(_gradient(reconstruction)[where].mean()) / gradient


@torch.no_grad()
def image_quality(
    image: torch.Tensor,
    brain: torch.Tensor,
    reconstruct: Callable[[torch.Tensor], torch.Tensor],
    sides: Sequence[int] = QUALITY_BOX,
) -> torch.Tensor:
    """Noise and blur of both modalities in the middle of the brain, see :func:`detail_scores`.

    Args:
        image: 2 x X x Y x Z in [0, 1], axes in RAS, so that X and Y are the plane of an axial slice.
        brain: mask, X x Y x Z; what is 0 in a modality is left out too.
        reconstruct: :class:`shared_networks.nets.DegradationAutoencoder` in evaluation mode, on the image's device.
        sides: of the box, in voxels.

    Returns:
        2 x 2, float32 on the CPU: a row for each modality with noise and blur, NaN for a modality that is missing.
    """
    box = central_box(brain > 0, sides)
    part = image[(slice(None), *box)].float()
    inside = (brain[box] > 0) & (part != 0)
    reconstruction = reconstruct(part[None])[0].float()
    rows = [
        detail_scores(volume, estimate, _eroded(where))
        for volume, estimate, where in zip(part, reconstruction, inside, strict=True)
    ]
    return torch.tensor(rows, dtype=torch.float32)


def _detail(volume: torch.Tensor) -> torch.Tensor:
    """A volume less its Gaussian mean (1 voxel) in each X-Y slice."""
    taps = torch.exp(-0.5 * torch.arange(-3.0, 4.0, device=volume.device) ** 2)
    taps /= taps.sum()
    smooth = volume.permute(2, 0, 1)[:, None]
    smooth = F.pad(smooth, (3, 3, 3, 3), mode="replicate")
    smooth = F.conv2d(F.conv2d(smooth, taps[None, None, :, None]), taps[None, None, None, :])
    return volume - smooth[:, 0].permute(1, 2, 0)


def _gradient(volume: torch.Tensor) -> torch.Tensor:
    """Length of the in-plane difference to the next voxel; 0 in the last row and column."""
    first = F.pad(volume.diff(dim=0), (0, 0, 0, 0, 0, 1))
    second = F.pad(volume.diff(dim=1), (0, 0, 0, 1))
    return (first.square() + second.square()).sqrt()


def _eroded(mask: torch.Tensor) -> torch.Tensor:
    """A mask without the voxels that are near its edge in their X-Y slice, or near that of the volume."""
    outside = F.pad(~mask.permute(2, 0, 1)[:, None], (_RIM,) * 4, value=True).float()
    return F.max_pool2d(outside, 2 * _RIM + 1, stride=1)[:, 0].permute(1, 2, 0) == 0


def scores_above(
    scores: Mapping[str, Mapping[str, float | None]], limits: Mapping[str, Mapping[str, float]]
) -> Iterator[tuple[str, str, float, float]]:
    """Scores that are higher than their limit, as modality, kind of score, value and limit.

    ``scores`` maps modality to ``"noise"`` or ``"blur"`` to a value (None and NaN are no score), ``limits`` ``"noise"``
    or ``"blur"`` to modality to the highest value; a score without one has none.
    """
    for modality, kinds in scores.items():
        for kind, value in kinds.items():
            limit = limits.get(kind, {}).get(modality, math.inf)
            if value is not None and value > limit:
                yield modality, kind, value, limit
