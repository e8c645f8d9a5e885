"""A small version of a case's volumes, for the page of the run."""

import base64
import io
import json
import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from nibabel.affines import voxel_sizes
from PIL import Image
from torch.nn.functional import adaptive_avg_pool3d, adaptive_max_pool3d, interpolate

from shared_networks.errors import CaseStatus
from shared_networks.transforms.save_case import SaveSegmentedCased, plain_array
from shared_networks.utils.atomic import atomic_text
from shared_networks.utils.masks import bounding_box
from shared_networks.visualize.quality_control import class_colours, tint_classes

_VOXEL_MM, _MOST_VOXELS = 2.0, 600_000
_QUALITIES, _MOST_CHARACTERS = (70, 50, 30, 15), 200_000
_THUMBNAIL = 96


def make_preview(
    images: Mapping[str, np.ndarray], label: np.ndarray, affine: np.ndarray, class_names: Mapping[int, str]
) -> dict[str, Any]:
    """Volumes on a grid of about 2 mm, cut to the brain, as mosaics of sagittal slices.

    The axes run to the patient's left, front and top. A voxel is lesion (the last class) where any voxel of the case in
    it is: small lesions stay visible. Pictures are compressed until all of them take at most 200 kB where they can.

    Args:
        images: name -> X x Y x Z in [0, 1].
        label: X x Y x Z, class numbers.
        affine: voxel to world (RAS) in mm, 4 x 4.
        class_names: class number -> name; 0 is the background.

    Returns:
        Ready for JSON: ``slices``, numbers of voxels X, Y and Z; ``start``, the slices with most lesion, or those
        through the middle of the brain; ``images``, name -> WebP picture, and ``labels``, PNG of class numbers, as data
        URLs; ``classes``, a list of number, name and colour; ``thumbnail``, an axial slice.
    """
    turn = nib.orientations.ornt_transform(nib.io_orientation(affine), nib.orientations.axcodes2ornt("LAS"))
    volume = np.stack([*(np.asarray(image, np.float32) for image in images.values()), label.astype(np.float32)])
    volume = np.stack([nib.apply_orientation(channel, turn) for channel in volume])
    order = np.argsort(turn[:, 0])
    sizes = voxel_sizes(np.asarray(affine, np.float64))[order]
    volume = volume[(slice(None), *bounding_box(volume.any(axis=0), 1))]
    lengths = np.array(volume.shape[1:]) * sizes
    step = max(_VOXEL_MM, (float(np.prod(lengths)) / _MOST_VOXELS) ** (1 / 3))
    grid = [max(1, round(length / step)) for length in lengths]
    tensor = torch.from_numpy(np.ascontiguousarray(volume))[None]
    small = adaptive_avg_pool3d(tensor[:, :-1], grid)[0].clamp(0.0, 1.0).numpy()
    lesion = max(class_names)
    labels = interpolate(tensor[:, -1:], grid, mode="nearest-exact")[0, 0].numpy().round().astype(np.uint8)
    labels[labels == lesion] = 0
    labels[adaptive_max_pool3d((tensor[:, -1:] == lesion).float(), grid)[0, 0].numpy() > 0] = lesion
    colours = class_colours(class_names)
    start = _start(labels == lesion, small[0] > 0)
    return {
        "slices": dict(zip("XYZ", grid, strict=True)),
        "start": start,
        "images": _compressed(dict(zip(images, small, strict=True))),
        "labels": _data_url(Image.fromarray(_mosaic(labels)), "PNG", optimize=True),
        "classes": [{"number": number, "name": class_names[number], "colour": colours[number]} for number in colours],
        "thumbnail": _thumbnail(small[-1][:, :, start[2]], labels[:, :, start[2]], {lesion: colours[lesion]}),
    }


class SavePreviewd(SaveSegmentedCased):
    """Write ``<output_dir>/<case>/<case>_preview.json``, see :func:`make_preview`.

    It comes after the transform that writes the case's files, and writes nothing for a case that was refused. That the
    file cannot be written is no fault of the case: the page shows the case's picture instead.

    Args: see :class:`shared_networks.transforms.save_case.SaveSegmentedCased`.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the file; return ``data`` as it is."""
        if not data.get(CaseStatus.REFUSED):
            super().__call__(data)
        return dict(data)

    def write(self, d: dict[Hashable, Any], key: Hashable, folder: Path, name: str) -> None:
        """Write the preview."""
        image = d[self.image_key]
        channels = [*plain_array(image), plain_array(d[self.fused_key])[0]]
        images = dict(zip([*map(str.upper, self.modalities), "fused"], channels, strict=True))
        label = plain_array(d[key])[0].round()
        preview = make_preview(images, label, np.asarray(image.meta["original_affine"], np.float64), self.class_names)
        atomic_text(folder / f"{name}_preview.json", json.dumps(preview))


def _start(lesion: np.ndarray, brain: np.ndarray) -> list[int]:
    """The slices with most lesion, or the middle of the brain."""
    if lesion.any():
        return [int(lesion.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3)]
    places = np.argwhere(brain)
    return [int(place) for place in (places.mean(0) if places.size else np.array(brain.shape) // 2)]


def _mosaic(volume: np.ndarray) -> np.ndarray:
    """X x Y x Z -> the slices along X in rows, each with the front on the right and the top above."""
    count, width, height = volume.shape
    columns = math.ceil(math.sqrt(count * height / width))
    rows = math.ceil(count / columns)
    sheet = np.zeros((rows * columns, height, width), volume.dtype)
    sheet[:count] = volume.transpose(0, 2, 1)[:, ::-1]
    return sheet.reshape(rows, columns, height, width).transpose(0, 2, 1, 3).reshape(rows * height, columns * width)


def _compressed(images: Mapping[str, np.ndarray]) -> dict[str, str]:
    found: dict[str, str] = {}
    for quality in _QUALITIES:
        found = {
            name: _data_url(Image.fromarray(_mosaic(np.rint(image * 255.0).astype(np.uint8))), "WEBP", quality=quality)
            for name, image in images.items()
        }
        if sum(map(len, found.values())) <= _MOST_CHARACTERS:
            break
    return found


def _thumbnail(image: np.ndarray, label: np.ndarray, colours: Mapping[int, str]) -> str:
    """An axial slice, the front above, with the lesions."""
    picture = tint_classes(image, label, colours, 0.6)[:, ::-1].swapaxes(0, 1)
    small = Image.fromarray(np.rint(picture * 255.0).astype(np.uint8))
    small = small.resize([round(side * _THUMBNAIL / max(small.size)) for side in small.size])
    return _data_url(small, "WEBP", quality=70)


def _data_url(picture: Image.Image, kind: str, **options: Any) -> str:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
