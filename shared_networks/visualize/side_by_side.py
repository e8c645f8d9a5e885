"""One picture that shows what went into a fusion and what came out of it."""

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from PIL import Image, ImageDraw, ImageFont

_MASK_COLOURS = ((255, 140, 0), (0, 160, 255))
"""Orange for the MRI branch's mask, blue for the other one's; both together give their mean."""

_LEAST_WIDTH = 192
"""Smaller panels are enlarged by a whole factor, so that the labels fit."""


def fullest_slice(volume: np.ndarray, spatial_dim: int) -> int:
    """Index of the slice with the largest sum along an axis of an X x Y x Z volume."""
    axes = tuple(axis for axis in range(3) if axis != spatial_dim)
    return int(volume.sum(axis=axes, dtype=np.float64).argmax())


def upright_slice(volume: np.ndarray, affine: np.ndarray, spatial_dim: int, index: int) -> np.ndarray:
    """Slice ``index`` of channels x X x Y x Z along ``spatial_dim`` as a radiologist sees it, channels x rows x
    columns.

    Axial and coronal: the patient's right on the left of the picture; sagittal: front on the left; up is up (axial:
    front). Voxels keep their proportions, by nearest neighbour. The affine is voxel to world (RAS).
    """
    orientation = nib.io_orientation(affine)
    cut = np.take(volume, [index], axis=spatial_dim + 1)
    # Slices stay views until here; now the one slice is turned to R, A, S with the world axes in order.
    cut = np.stack([nib.apply_orientation(channel, orientation) for channel in cut])
    spacing = np.empty(3)
    spacing[orientation[:, 0].astype(int)] = voxel_sizes(affine)
    normal = int(orientation[spatial_dim, 0])
    columns, rows = [axis for axis in range(3) if axis != normal]
    # Towards R and A run the remaining in-plane axes; both are shown from right to left, and rows from top to bottom.
    plane = np.squeeze(cut, axis=normal + 1).swapaxes(1, 2)[:, ::-1, ::-1]
    ratio = spacing[[rows, columns]] / spacing[[rows, columns]].min()
    height, width = np.maximum(1, np.rint(np.array(plane.shape[1:]) * ratio).astype(int))
    row = np.minimum((np.arange(height) + 0.5) * plane.shape[1] / height, plane.shape[1] - 1).astype(int)
    column = np.minimum((np.arange(width) + 0.5) * plane.shape[2] / width, plane.shape[2] - 1).astype(int)
    return plane[:, row][:, :, column]


def side_by_side(
    mri: np.ndarray,
    other: np.ndarray,
    fused: np.ndarray,
    masks: np.ndarray | None = None,
    affine: np.ndarray | None = None,
    spatial_dim: int = 2,
    labels: tuple[str, str, str, str] = ("MRI", "other", "fused", "principal regions"),
) -> Image.Image:
    """RGB panels with labels in a row: MRI, other source, fused image and, when there are masks, the principal regions.

    The MRI is 1 x spatial, other and fused 1 or 3 x spatial, the masks (MRI branch, tinted orange; other branch, blue)
    2 x spatial, all in [0, 1]. Of volumes the slice along ``spatial_dim`` with the largest sum of the MRI is shown,
    upright by the affine, voxel to world.
    """
    planes = [mri, other, fused] + ([] if masks is None else [masks])
    if mri.ndim == 4:
        place = np.eye(4) if affine is None else affine
        index = fullest_slice(mri[0], spatial_dim)
        planes = [upright_slice(plane, place, spatial_dim, index) for plane in planes]
    panels = [_pixels(plane) for plane in planes[:3]]
    if masks is not None:
        panels.append(_tint(panels[2], planes[3]))
    height, width = panels[0].shape[:2]
    factor = -(-_LEAST_WIDTH // width) if width < _LEAST_WIDTH else 1
    bar, gap = 24, 4
    page = Image.new("RGB", (len(panels) * (width * factor + gap) - gap, height * factor + bar), (32, 32, 32))
    draw = ImageDraw.Draw(page)
    for number, (panel, label) in enumerate(zip(panels, labels, strict=False)):
        left = number * (width * factor + gap)
        picture = Image.fromarray(panel).resize((width * factor, height * factor), Image.Resampling.NEAREST)
        page.paste(picture, (left, bar))
        draw.text((left + 4, 4), label, fill=(255, 255, 255), font=ImageFont.load_default(size=14))
    return page


def _pixels(plane: np.ndarray) -> np.ndarray:
    """1 or 3 x H x W in [0, 1] -> H x W x 3, 8 bit."""
    rgb = np.broadcast_to(plane, (3, *plane.shape[1:]))
    return np.ascontiguousarray(np.moveaxis(np.rint(rgb.clip(0.0, 1.0) * 255.0), 0, -1).astype(np.uint8))


def _tint(panel: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Blend the mean colour of the masks that hold at a pixel half and half with its grey value."""
    grey = panel.mean(axis=-1, keepdims=True)
    weights = masks[..., None].clip(0.0, 1.0)
    colour = (weights * np.array(_MASK_COLOURS)[:, None, None, :]).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-6)
    strength = 0.5 * weights.max(axis=0)
    return np.rint(grey * (1.0 - strength) + colour * strength).astype(np.uint8)
