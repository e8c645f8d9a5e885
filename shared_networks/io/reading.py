"""Read one source, a picture, a volume or a DICOM series, and say plainly what is wrong with it otherwise."""

import re
from pathlib import Path

import numpy as np

from shared_networks.errors import InputError, one_line
from shared_networks.io.background import clear_nan_outside
from shared_networks.io.dicom_files import split_choice
from shared_networks.io.dicom_reading import read_series
from shared_networks.io.dicom_series import list_series, listed, suggested_choice
from shared_networks.io.file_names import INPUT_KINDS, file_kind, header_beside
from shared_networks.io.quiet_libraries import quiet_libraries
from shared_networks.io.reading_pictures import picture_source, read_picture
from shared_networks.io.reading_volumes import read_volume, read_voxels
from shared_networks.io.source import Source, split_colour

_HIGHEST = 1e35
"""Larger numbers are no measurement; programs fill what they have no value for with the largest number there is."""


def read_source(path: str | Path) -> Source:
    """Read a picture, a volume, a DICOM file or a folder with one DICOM series (``FOLDER#CHOICE`` for one of several).

    NaN outside the contents of a volume becomes 0, with a remark; infinity (the logarithm of 0), and numbers beyond
    1e35, which programs write for no value, are taken as NaN.

    Raises:
        InputError: when the file is missing, empty, truncated, of another type, or holds what cannot be fused.
    """
    path = Path(path)
    readers = {"picture": read_picture, "volume": read_volume, "series": _read_series}
    try:
        place = split_choice(path)[0]
        if not place.exists():
            raise InputError(f"{path}: file not found; check the path.")
        if not (place.is_file() or place.is_dir()):  # a reader would wait for its contents without end
            raise InputError(f"{place}: neither a file nor a folder (a pipe, a device?); save it as a file first.")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; copy or export it again.")
        kind = "volume" if header_beside(path) else file_kind(path)
        if kind not in readers:
            raise InputError(f"{path}: not a supported image; expected a {INPUT_KINDS}.{_several_series(path)}")
        with quiet_libraries():
            source = readers[kind](path)
    except InputError:
        raise
    except Exception as error:  # reading libraries raise whatever a broken file leads them to
        raise _unreadable(path, error) from error
    _check_values(source)
    return source


def read_stacked_volume(path: str | Path) -> list[Source] | None:
    """MRI and other source from one file whose last axis holds them (X x Y x Z x 2 or X x Y x Z x 1 x 2); None for
    others.

    Raises InputError when the file cannot be read.
    """
    path = Path(path)
    try:
        voxels = read_voxels(path)
    except InputError:
        raise
    except Exception as error:  # reading libraries raise whatever a broken file leads them to
        raise _unreadable(path, error) from error
    array = voxels.array
    if array.ndim < 4 or voxels.colour or array.shape[-1] != 2 or any(length != 1 for length in array.shape[3:-1]):
        return None
    spatial = array.shape[:3]
    sources = [Source(path, array[..., index].reshape(spatial), affine=voxels.affine.copy()) for index in range(2)]
    sources[0].warnings = voxels.remarks
    for source in sources:
        _check_values(source)
    return sources


def _unreadable(path: Path, error: Exception) -> InputError:
    # ITK begins with the place in its source and the address of an object.
    text = re.sub(r"^.*?itk(?:::| )error: \w+\(0x\w+\): ", "", one_line(error), flags=re.IGNORECASE)
    text = re.sub(r"^\S+\.(?:cxx|h):\d+ \(\w*\): ", "", text)  # GDCM's place
    text = text.removesuffix(" Reason: No such file or directory")  # of a file that is there
    reason = f"{type(error).__name__}: {text}"
    return InputError(f"{path}: cannot be read ({reason[:200]}); check that the file is complete and permitted.")


def _check_values(source: Source) -> None:
    if source.values.size == 0:
        raise InputError(f"{source.path}: the image has no pixels (shape {source.values.shape}); export it again.")
    filled = np.abs(source.values) > _HIGHEST
    if filled.any():
        source.values = np.where(filled, np.float32(np.nan), source.values)
    bad = source.values.size - int(np.isfinite(source.values).sum())
    if bad and source.affine is not None and clear_nan_outside(source):
        return
    if bad:
        raise InputError(f"{source.path}: {bad} NaN or infinite values; replace them (for example by 0) and try again.")


def _several_series(path: Path) -> str:
    """What to say further about a folder whose folders hold several DICOM series."""
    if not path.is_dir() or file_kind(f"{path}#any") != "series":
        return ""
    series = list_series(path)
    return (
        f" It holds more than one DICOM series: {listed(series)}; choose one, as in {path}#{suggested_choice(series)}."
    )


def _read_series(path: Path) -> Source:
    series = read_series(path)
    if series.affine is None:
        picture = picture_source(path, series.voxels, series.highest)
        picture.warnings += series.remarks
        return picture
    facts = {"patient": series.patient, "modality": series.modality, "window": series.window}
    if series.voxels.ndim == 3:
        return Source(path, series.voxels, affine=series.affine, warnings=series.remarks, **facts)
    values, chroma = split_colour(series.voxels.astype(np.float32) / 255.0)
    return Source(path, values, chroma, affine=series.affine, normalised=True, warnings=series.remarks, **facts)
