"""Read one volume: NIfTI, Analyze and MGH by nibabel, NRRD and MetaImage by ITK; always in mm, voxel to RAS."""

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from shared_networks.errors import InputError
from shared_networks.io.dicom_geometry import LPS_TO_RAS
from shared_networks.io.file_names import file_stem, header_beside
from shared_networks.io.header_checks import affine_of, check_nifti_size, open_volume, overflow_remarks, unit_factor
from shared_networks.io.source import Source, split_colour
from shared_networks.io.text_headers import (
    IN_WORDS,
    check_stated_size,
    data_file,
    header_text,
    millimetres,
    stated_scale,
)

_ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
_COLOUR_INTENTS = (2003, 2004)  # NIFTI_INTENT_RGB_VECTOR and NIFTI_INTENT_RGBA_VECTOR
_GZIP = b"\x1f\x8b"
_NIFTI_SIZES = [struct.pack(order + "i", size) for order in "<>" for size in (348, 540)]  # NIfTI-1 and -2 begin so


@dataclass
class Voxels:
    """What a volume's file holds.

    Attributes:
        array: X x Y x Z and further axes, float32 grey values, or colour from 0 to 255 with R, G, B (and A) last.
        affine: voxel to world (RAS) in mm, 4 x 4.
        colour: whether the last axis holds R, G, B (and A).
        stored: type of the numbers in the file.
        remarks: for the user.
    """

    array: np.ndarray
    affine: np.ndarray
    colour: bool
    stored: np.dtype
    remarks: list[str] = field(default_factory=list)


def volume_files(path: str | Path) -> list[Path]:
    """Every file that a volume consists of: header and image, or header and the data file that it names."""
    path = Path(path)
    name = path.name.lower()
    if name.endswith((".hdr", ".hdr.gz", ".img", ".img.gz")):
        header = header_beside(path) or path
        stem = file_stem(header)
        # SPM keeps a matrix beside an Analyze image.
        beside = [header.with_name(stem + ending) for ending in (".img", ".IMG", ".img.gz", ".mat")]
        return [header, *(file for file in beside if file != header and file.is_file())]
    if name.endswith((".nrrd", ".nhdr", ".mhd", ".mha")):
        named = data_file(path)
        return [path] if named is None else [path, named]
    return [path]


def read_volume(path: Path) -> Source:
    """Read a file as a grey or colour volume; a file of one slice becomes X x Y x 1.

    Raises:
        InputError: when it holds several volumes, complex values, or less than its header says.
        Exception: what the reading libraries raise for a damaged file.
    """
    voxels = read_voxels(path)
    array, remarks = voxels.array, voxels.remarks
    channels = array.shape[-1:] if voxels.colour else ()
    shape = array.shape[: array.ndim - len(channels)]
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) > 3:
        raise InputError(
            f"{path}: {len(shape)}D image of shape {shape}; expected a 3D volume (colour as NIfTI RGB24): "
            "extract one volume first."
        )
    if len(shape) < 2:
        raise InputError(f"{path}: {len(shape)}D image of shape {shape}; expected a 3D volume: give the whole volume.")
    is_slice = len(shape) == 2
    array = array.reshape(*shape, *((1,) if is_slice else ()), *channels)
    if not voxels.colour:
        remarks += overflow_remarks(array, voxels.stored, path)
        return Source(path, array, affine=voxels.affine, is_slice=is_slice, warnings=remarks)
    rgb = array[..., :3].astype(np.float32) / 255.0
    if array.shape[-1] == 4:
        alpha = array[..., 3:]
        # Opacity that is 0 everywhere was never set.
        if alpha.any() and alpha.min() < 255:
            rgb *= alpha.astype(np.float32) / 255.0
            remarks.append(f"{path.name}: transparent voxels were put on black")
    values, chroma = split_colour(rgb)
    return Source(path, values, chroma, affine=voxels.affine, normalised=True, is_slice=is_slice, warnings=remarks)


def read_voxels(path: Path) -> Voxels:
    """Read a file as it is, see :class:`Voxels`.

    Raises:
        InputError, Exception: see :func:`read_volume`.
    """
    return _read_by_itk(path) if path.name.lower().endswith(_ITK_SUFFIXES) else _read_by_nibabel(path)


def _read_by_nibabel(path: Path) -> Voxels:
    opened = header_beside(path) or path
    _refuse_lonely(path, opened)
    _refuse_wrong_ending(opened)
    image = open_volume(opened)
    remarks = check_nifti_size(image, path)
    affine, about_place = affine_of(image, path)
    factor, remark = unit_factor(image, affine, path)
    affine[:3] *= factor
    remarks += [*about_place, *([remark] if remark else [])]
    stored = image.get_data_dtype()
    if stored.names is not None:
        voxels = np.asarray(image.dataobj)
        array = np.stack([voxels[name] for name in stored.names], axis=-1)
        return Voxels(array, affine, True, stored, remarks)
    if np.issubdtype(stored, np.complexfloating):
        raise InputError(f"{path}: complex values; save the magnitude as a real volume.")
    with np.errstate(over="ignore", invalid="ignore"):
        values = image.get_fdata(dtype=np.float32, caching="unchanged")
    is_scaled = (image.dataobj.slope, image.dataobj.inter) != (1.0, 0.0)
    colours = _colours(image, values, is_bytes=stored == np.uint8 and not is_scaled)
    if colours is None:
        return Voxels(values, affine, False, stored, remarks)
    kind = "8 bit" if values.max() > 1 else "0 to 1"
    remarks.append(f"{path.name}: {colours.shape[-1]} channels of {kind} in the last axis were read as colour")
    return Voxels(colours, affine, True, stored, remarks)


def _refuse_lonely(path: Path, header: Path) -> None:
    """One of the two files of a pair without the other one, or a compressed one beside one that is not."""
    name = header.name.lower()
    if name.endswith((".img", ".img.gz")):
        raise InputError(f"{path}: its header, {file_stem(path)}.hdr, is not there; copy both files.")
    if not name.endswith((".hdr", ".hdr.gz")):
        return
    images = [file for file in volume_files(header)[1:] if file.name.lower().endswith((".img", ".img.gz"))]
    if not images:
        raise InputError(f"{path}: {file_stem(path)}.img, which holds its voxels, is not there; copy both files.")
    if not any(file.name.lower().endswith(".gz") == name.endswith(".gz") for file in images):
        raise InputError(f"{path}: one of it and {images[0].name} is compressed; compress or unpack both files.")


def _refuse_wrong_ending(path: Path) -> None:
    """A good file whose name says that it is compressed, or does not say so, which the reader takes for damaged."""
    with path.open("rb") as stream:
        start = stream.read(4)
    is_packed, name = start[:2] == _GZIP, path.name.lower()
    if is_packed and name.endswith((".nii", ".hdr", ".img")):
        raise InputError(f"{path}: compressed, which its name does not say; rename it to {path.name}.gz.")
    if name.endswith(".nii.gz") and start in _NIFTI_SIZES:
        raise InputError(f"{path}: not compressed, as its name says; rename it to {path.name[:-3]}.")


def _colours(image: Any, values: np.ndarray, is_bytes: bool) -> np.ndarray | None:
    """X x Y x Z x 3 or 4 from 0 to 255 where the last axis holds colours; None where it does not, or may not.

    Many programs write bytes in the fourth axis; of four such channels the last one must be opacity, the same
    everywhere. The vector of the standard may hold other numbers: whole ones of a byte, or from 0 to 1.
    """
    shape = values.shape
    count = shape[-1] if len(shape) in (4, 5) else 0
    is_named = isinstance(image.header, nib.Nifti1Header) and int(image.header["intent_code"]) in _COLOUR_INTENTS
    is_vector = len(shape) == 5 and shape[3] == 1
    if count not in (3, 4) or not (is_named or is_vector or (is_bytes and len(shape) == 4)):
        return None
    is_opaque = count == 3 or bool((values[..., 3] == 255).all())
    if is_bytes and not (is_named or is_vector or is_opaque):
        return None
    low, high = values.min(), values.max()
    if not is_bytes and not 0 <= low <= high <= 255:
        return None
    if not is_bytes and high <= 1:
        values = values * np.float32(255)
    elif not is_bytes and (values != np.round(values)).any():
        return None
    return values.reshape(*shape[:3], count)


def _read_by_itk(path: Path) -> Voxels:
    import itk

    names = volume_files(path)
    header, is_nrrd = header_text(path), path.name.lower().endswith((".nrrd", ".nhdr"))
    if b"\nencoding: bz" in header.lower():
        raise InputError(f"{path}: compressed by bzip2; save it uncompressed or compressed by gzip.")
    if len(names) > 1 and not is_nrrd and IN_WORDS.search(header):
        raise InputError(f"{path}: its voxels are numbers in a text file; save it with binary data.")
    reader = itk.ImageIOFactory.CreateImageIO(str(path), itk.CommonEnums.IOFileMode_ReadMode)
    if reader is None:
        raise InputError(f"{path}: cannot be read, it does not begin as its name says; copy or export it again.")
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    shape = tuple(int(reader.GetDimensions(axis)) for axis in range(reader.GetNumberOfDimensions()))
    components, size = int(reader.GetNumberOfComponents()), int(reader.GetComponentSize())
    check_stated_size(path, names[-1], header, shape, components * size)
    kind = reader.GetComponentTypeAsString(reader.GetComponentType())
    axes = len(shape)
    if components == 1 and 2 <= axes <= 4:
        image = itk.imread(str(path), pixel_type=itk.F)
        array = itk.array_from_image(image).T
    elif components in (3, 4) and kind == "unsigned_char" and axes in (2, 3):
        image = itk.imread(str(path), pixel_type=itk.RGBPixel[itk.UC] if components == 3 else itk.RGBAPixel[itk.UC])
        array = itk.array_from_image(image)
        array = np.moveaxis(array, -1, 0).T if axes == 2 else array.transpose(2, 1, 0, 3)
    else:
        raise InputError(
            f"{path}: {axes} axes and {components} values of type {kind} a voxel; expected a 3D volume of grey values, "
            "or of colour with 8 bit: extract one volume first."
        )
    array = array.reshape(*shape, *((components,) if components > 1 else ()))
    slope, offset = (1, 0) if is_nrrd or components > 1 else stated_scale(header)
    if (slope, offset) != (1, 0):
        array = array * slope + offset
    affine, remarks = np.eye(4), []
    used = min(axes, 3)
    direction = itk.array_from_matrix(image.GetDirection())[:used, :used]
    affine[:used, :used] = direction @ np.diag(list(image.GetSpacing())[:used])
    affine[:used, 3] = list(image.GetOrigin())[:used]
    if is_nrrd and "NRRD_space" not in reader.GetMetaDataDictionary().GetKeys():
        remarks.append(f"{path.name}: the header names no orientation; left and right are a guess")
    factor = millimetres(header, is_nrrd)
    affine[:3] *= factor
    if factor != 1.0:
        remarks.append(f"{path.name}: the header gives lengths in another unit, which were turned into mm")
    return Voxels(np.ascontiguousarray(array), LPS_TO_RAS @ affine, components > 1, np.dtype(np.float32), remarks)
