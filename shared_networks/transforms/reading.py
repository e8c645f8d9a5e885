"""Read one source, a picture, a NIfTI volume or a DICOM series, and say plainly what is wrong with it otherwise."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from PIL import Image

from shared_networks.errors import InputError, one_line
from shared_networks.transforms.colour import rgb_to_ycbcr
from shared_networks.transforms.file_names import INPUT_KINDS, file_kind
from shared_networks.transforms.header_checks import (
    check_nifti_size,
    check_picture_size,
    check_series_size,
    orientation_remarks,
    overflow_remarks,
)
from shared_networks.utils.series_choice import split_choice

__all__ = ["Source", "read_source", "read_stacked_volume"]


@dataclass
class Source:
    """One source image as it was read.

    Attributes:
        path: where it came from.
        values: grey values or luminance, H x W or X x Y x Z, float32; pictures and colour volumes in [0, 1], grey
            volumes in their own unit.
        chroma: 2 x spatial, 0..255, or None for a grey image.
        affine: voxel to world (RAS) 4 x 4, or None for a picture.
        bit_depth: 8 or 16 for a picture, 0 for a volume.
        normalised: whether ``values`` are in [0, 1] already.
        patient: id and name that a DICOM series holds, '' otherwise.
        warnings: remarks for the user.
    """

    path: Path
    values: np.ndarray
    chroma: np.ndarray | None = None
    affine: np.ndarray | None = None
    bit_depth: int = 0
    normalised: bool = False
    patient: str = ""
    warnings: list[str] = field(default_factory=list)


def read_source(path: str | Path) -> Source:
    """Read a picture, a NIfTI volume or a folder with one DICOM series (``FOLDER#CHOICE`` for one of several).

    Raises:
        InputError: when the file is missing, empty, truncated, of another type, or holds what cannot be fused.
    """
    path = Path(path)
    readers = {"picture": _read_picture, "volume": _read_nifti, "series": _read_series}
    try:
        if not split_choice(path)[0].exists():
            raise InputError(f"{path}: file not found; check the path.")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; copy or export it again.")
        kind = file_kind(path)
        if kind not in readers:
            raise InputError(f"{path}: not a supported image; expected a {INPUT_KINDS}.")
        source = readers[kind](path)
    except InputError:
        raise
    except Exception as error:  # reading libraries raise whatever a broken file leads them to
        raise _unreadable(path, error) from error
    _check_values(source)
    return source


def read_stacked_volume(path: str | Path) -> list[Source] | None:
    """Both sources from one NIfTI file whose last axis holds them (X x Y x Z x 2 or X x Y x Z x 1 x 2).

    Returns:
        MRI and other source, or None when the file is not of that form.

    Raises:
        InputError: when the file cannot be read.
    """
    path = Path(path)
    try:
        image = nib.load(path)
        if image.ndim < 4 or image.shape[-1] != 2 or any(length != 1 for length in image.shape[3:-1]):
            return None
        remarks = [*check_nifti_size(image, path), *orientation_remarks(image, path)]
        values = _nifti_values(image)
    except InputError:
        raise
    except Exception as error:  # reading libraries raise whatever a broken file leads them to
        raise _unreadable(path, error) from error
    spatial = image.shape[:3]
    sources = [Source(path, values[..., index].reshape(spatial), affine=np.array(image.affine)) for index in range(2)]
    sources[0].warnings = remarks
    for source in sources:
        _check_values(source)
    return sources


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = one_line(f"{type(error).__name__}: {error}")
    return InputError(f"{path}: cannot be read ({reason[:200]}); check that the file is complete and permitted.")


def _check_values(source: Source) -> None:
    if source.values.size == 0:
        raise InputError(f"{source.path}: the image has no pixels (shape {source.values.shape}); export it again.")
    bad = source.values.size - int(np.isfinite(source.values).sum())
    if bad:
        raise InputError(f"{source.path}: {bad} NaN or infinite values; replace them (for example by 0) and try again.")


def _split_colour(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Channel-last RGB in [0, 1] -> luminance and chroma; chroma None when all three channels are equal everywhere."""
    luminance, chroma = rgb_to_ycbcr(torch.from_numpy(np.moveaxis(rgb, -1, 0).copy()))
    grey = np.array_equal(rgb[..., 0], rgb[..., 1]) and np.array_equal(rgb[..., 0], rgb[..., 2])
    return luminance[0].numpy(), None if grey else chroma.numpy()


def _read_picture(path: Path) -> Source:
    # From memory: a file would be asked for as many bytes as a damaged header says, and room for them made first.
    with io.BytesIO(path.read_bytes()) as stream, Image.open(stream) as picture:
        check_picture_size(picture, path)
        if getattr(picture, "n_frames", 1) > 1:
            raise InputError(f"{path}: {picture.n_frames} pages in one file; expected one picture, or a NIfTI volume.")
        pixels, bit_depth = _pixels(picture, path)
    values = pixels.astype(np.float32) / (2**bit_depth - 1)
    remarks = []
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        alpha = values[..., -1:]
        if alpha.min() < 1.0:
            remarks.append(f"{path.name}: transparent pixels were put on black")
        values = values[..., :-1] * alpha
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    chroma = None
    if values.ndim == 3:
        values, chroma = _split_colour(values)
    if bit_depth == 16 and 0 < values.max() < 1 / 8:
        remarks.append(f"{path.name}: a 16-bit picture that uses less than 1/8 of its range; scale it to 0..65535")
    return Source(path, values, chroma, bit_depth=bit_depth, normalised=True, warnings=remarks)


def _pixels(picture: Image.Image, path: Path) -> tuple[np.ndarray, int]:
    """Pixels H x W or H x W x channels with rows as in the picture, and their bit depth (8 or 16)."""
    deep = any(";16" in str(tile.args) for tile in picture.tile)
    picture.load()
    if deep and picture.mode in ("RGB", "RGBA", "LA"):
        # Pillow cuts 16-bit colour down to 8 bit without a word.
        import itk

        pixel_type = itk.Vector[itk.F, len(picture.getbands())]
        return itk.array_from_image(itk.imread(str(path), pixel_type=pixel_type)), 16
    if picture.mode.startswith("I;16") or (deep and picture.mode == "I"):
        pixels = np.asarray(picture)
        if pixels.min() < 0:
            raise InputError(f"{path}: negative pixel values; save it as an unsigned 8- or 16-bit picture.")
        return pixels, 16
    if picture.mode in ("I", "F"):
        raise InputError(f"{path}: 32-bit pixels (mode {picture.mode}); save it as an 8- or 16-bit picture.")
    if picture.mode == "1" or picture.mode == "L":
        return np.asarray(picture.convert("LA" if "transparency" in picture.info else "L")), 8
    if picture.mode in ("LA", "RGBA"):
        return np.asarray(picture), 8
    transparent = picture.mode == "PA" or "transparency" in picture.info
    return np.asarray(picture.convert("RGBA" if transparent else "RGB")), 8


def _nifti_values(image: nib.Nifti1Image) -> np.ndarray:
    if np.issubdtype(image.get_data_dtype(), np.complexfloating):
        raise InputError(f"{image.get_filename()}: complex values; save the magnitude as a real volume.")
    with np.errstate(over="ignore", invalid="ignore"):
        return image.get_fdata(dtype=np.float32, caching="unchanged")


def _read_nifti(path: Path) -> Source:
    image = nib.load(path)
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        raise InputError(
            f"{path}: {len(shape)}D image of shape {shape}; expected a 3D volume (colour as NIfTI RGB24): "
            "extract one volume first."
        )
    if len(shape) < 3:
        raise InputError(f"{path}: {len(shape)}D image of shape {shape}; expected a 3D volume: give the whole volume.")
    remarks = [*check_nifti_size(image, path), *orientation_remarks(image, path)]
    affine = np.array(image.affine, dtype=np.float64)
    if image.get_data_dtype().names is None:
        values = _nifti_values(image).reshape(shape)
        remarks += overflow_remarks(values, image.get_data_dtype(), path)
        return Source(path, values, affine=affine, warnings=remarks)
    voxels = np.asarray(image.dataobj).reshape(shape)
    rgb = np.stack([voxels[name] for name in ("R", "G", "B")], axis=-1).astype(np.float32) / 255.0
    values, chroma = _split_colour(rgb)
    return Source(path, values, chroma, affine=affine, normalised=True, warnings=remarks)


def _read_series(path: Path) -> Source:
    from shared_networks.clinical.dicom_series import read_series

    folder, _ = split_choice(path)
    check_series_size(folder)
    voxels, affine, series = read_series(path)
    if voxels.ndim == 3:
        return Source(path, voxels, affine=affine, patient=series.patient)
    values, chroma = _split_colour(voxels.astype(np.float32) / 255.0)
    return Source(path, values, chroma, affine=affine, normalised=True, patient=series.patient)
