"""What headers say, looked at before memory is taken for the image: its size, its orientation, its type."""

import gzip
import math
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.affines import voxel_sizes
from PIL import Image

from shared_networks.errors import InputError
from shared_networks.io.dicom_structure import check_dicom_structure
from shared_networks.io.regular_grid import can_be_inverted

MOST_PIXELS = 2**26
"""Pixels of a picture or a slice (8192 x 8192)."""

MOST_VOXELS = 2**30
"""Voxels of a volume (1024 x 1024 x 1024): 4 GiB as float32."""

_MOST_EXCESS = 2**24  # bytes behind the voxels; more is no padding
_CHUNK = 2**20
_NIFTI_2 = [struct.pack(order + "i", 540) for order in "<>"]  # how the file begins
_NO_ORIENTATION = "the header names no orientation; left and right are a guess"
_UNITS = {"meter": 1e3, "micron": 1e-3}
_PLAUSIBLE = (5e-3, 100.0)  # mm, voxel sizes


def open_volume(path: Path) -> nib.spatialimages.SpatialImage:
    """``nibabel.load``, also for a name such as ``T1.Nii.gz``, which nibabel would look for in lower case.

    Raises:
        Exception: what nibabel raises for a damaged file.
    """
    ending = "".join(path.suffixes[-2:] if path.suffix.lower() == ".gz" else path.suffixes[-1:])
    plain = ending.lower().removesuffix(".gz")
    if ending in (ending.lower(), ending.upper()) or plain not in (".nii", ".mgz", ".mgh"):
        return nib.load(path)
    opener = gzip.open if ending.lower().endswith(".gz") else open
    with opener(path, "rb") as stream:
        start = stream.read(4)
    kind = nib.Nifti2Image if start in _NIFTI_2 else nib.Nifti1Image
    return (kind if plain == ".nii" else nib.MGHImage).from_file_map({"image": nib.FileHolder(str(path))})


def checked_count(shape: tuple[int, ...], path: Path) -> int:
    """Voxels of a volume by the shape that its header says; InputError for none, and for more than can be fused."""
    if min(shape, default=0) < 1:
        raise InputError(f"{path}: the header says shape {shape}; expected lengths of at least 1: export it again.")
    count = math.prod(shape)  # Python's numbers do not overflow
    if count > MOST_VOXELS:
        raise InputError(
            f"{path}: the header says {count} voxels; expected at most {MOST_VOXELS}: crop or resample it, or export "
            "it again if it is smaller."
        )
    return count


def check_nifti_size(image: nib.spatialimages.SpatialImage, path: Path) -> list[str]:
    """Refuse a NIfTI, Analyze or MGH file whose header asks for more voxels than the file holds, or than can be fused.

    A compressed file is unpacked to its end, piece by piece, so that its checksum is compared too. Returns remarks for
    the user. Raises InputError naming the file, what its header says and what the file holds, and what the reading
    library raises for a damaged file.
    """
    count = checked_count(image.shape, path)
    if isinstance(image, nib.Nifti1Image) and int(image.dataobj.offset) < image.header.sizeof_hdr:
        raise InputError(
            f"{path}: the header says that the voxels begin at byte {image.dataobj.offset}, inside it: export it again."
        )
    needed = int(image.dataobj.offset) + count * image.get_data_dtype().itemsize
    data = Path(image.file_map["image"].filename)
    packed = data.name.lower().endswith((".gz", ".mgz"))
    held = _unpacked_size(data, needed + _MOST_EXCESS) if packed else data.stat().st_size
    if held < needed:
        raise InputError(
            f"{path}: cannot be read, the header says {needed} bytes and the file holds {held}; copy or export it "
            "again."
        )
    if held > needed + _MOST_EXCESS:
        raise InputError(f"{path}: the file holds far more than the {needed} bytes of its header; export it again.")
    # Behind the voxels, MGH files hold how they were scanned and made.
    if held > needed and not isinstance(image, nib.MGHImage):
        return [f"{path.name}: {held - needed} bytes more in the file than its header says"]
    return []


def _unpacked_size(path: Path, most: int) -> int:
    """Bytes of a gzip file, counted to just above ``most``; raises what gzip raises for a damaged file."""
    held = 0
    with gzip.open(path) as stream:
        while held <= most and (chunk := stream.read(_CHUNK)):
            held += len(chunk)
    return held


def check_picture_size(picture: Image.Image, path: Path) -> None:
    """Refuse a picture, opened but not yet decoded, that claims more pixels than can be fused or than its file holds.

    Raises:
        InputError: naming the file and its size.
    """
    width, height = picture.size
    most = MOST_PIXELS
    if picture.format == "PNG":
        # A pixel has a bit at least, and deflate makes of a byte 1032 at most.
        most = min(most, 8 * 1032 * path.stat().st_size)
    if width * height > most:
        raise InputError(
            f"{path}: the header says {width} x {height} pixels; expected at most {most} for this file: crop or scale "
            "it, or export it again if it is smaller."
        )


def check_series_size(files: Sequence[Path]) -> None:
    """Refuse DICOM files of which one claims, or all together claim, more than can be fused.

    Files that ITK does not take for DICOM are passed over here. Raises InputError naming the file and its size.
    """
    import itk

    total = 0
    for path in files:
        check_dicom_structure(path)
        header = itk.GDCMImageIO.New()
        if not header.CanReadFile(str(path)):
            continue
        header.SetFileName(str(path))
        try:
            header.ReadImageInformation()
        except RuntimeError:  # of a file that is wanted, its reader says so
            continue
        lengths = [int(header.GetDimensions(axis)) for axis in range(header.GetNumberOfDimensions())]
        total += math.prod(lengths)
        if min(lengths) < 1 or math.prod(lengths[:2]) > MOST_PIXELS or total > MOST_VOXELS:
            size = " x ".join(str(length) for length in lengths)
            raise InputError(
                f"{path}: the header says {size} pixels; expected 1 to {MOST_PIXELS} a slice and at most {MOST_VOXELS} "
                "voxels: export the series again."
            )


def affine_of(image: nib.spatialimages.SpatialImage, path: Path) -> tuple[np.ndarray, list[str]]:
    """Voxel to world as the header states it, in its own unit, and remarks on it.

    Of a NIfTI file the sform counts where its code is not 0, as nibabel has it, then the qform. A sform that is no
    matrix (all zeros, NaN), which some programs write beside a good qform, gives way to that.

    Returns:
        4 x 4, float64; and remarks where the header names no orientation, or two different ones.
    """
    header, affine = image.header, np.array(image.affine, dtype=np.float64)
    if isinstance(header, nib.Nifti1Header) and not can_be_inverted(affine) and header["sform_code"]:
        with suppress(nib.spatialimages.HeaderDataError):
            qform = header.get_qform(coded=True)[0]
            if qform is not None and can_be_inverted(qform):
                return qform, [f"{path.name}: the sform of the header is no matrix of voxels; the qform was used"]
    return affine, _orientation_remarks(image, path)


def _orientation_remarks(image: nib.spatialimages.SpatialImage, path: Path) -> list[str]:
    """Remarks where a header names no orientation, or two different ones."""
    header = image.header
    if isinstance(image, nib.MGHImage):
        return [] if header["goodRASFlag"] else [f"{path.name}: {_NO_ORIENTATION}"]
    if not isinstance(header, nib.Nifti1Header):
        matrix = image.file_map.get("mat")  # SPM's
        if matrix is not None and Path(matrix.filename).is_file():
            return []
        return [f"{path.name}: the format Analyze names no orientation; left and right are a guess"]
    sform, sform_code = header.get_sform(coded=True)
    if not sform_code and not header["qform_code"]:
        return [f"{path.name}: {_NO_ORIENTATION}"]
    if not sform_code or not header["qform_code"]:
        return []
    try:
        qform = header.get_qform()
    except nib.spatialimages.HeaderDataError:
        return [f"{path.name}: the qform of the header is damaged; the sform was used"]
    last = np.array(image.shape[:3]) - 1
    corners = np.array([[*(last * corner), 1] for corner in np.ndindex(2, 2, 2)])
    with np.errstate(invalid="ignore"):  # an affine that is not finite is refused elsewhere
        apart = np.abs((sform - qform) @ corners.T).max()
    # Not less: a sheared sform, as some converters write it, has no equal among qforms.
    if apart > voxel_sizes(sform).max():
        return [f"{path.name}: sform and qform of the header are up to {apart:.3g} mm apart; the sform was used"]
    return []


def unit_factor(image: nib.spatialimages.SpatialImage, affine: np.ndarray, path: Path) -> tuple[float, str]:
    """Millimetres in the header's unit of length, and a remark where that is not 1.

    A unit by which voxels would be larger than 100 mm or smaller than 5 microns, while as mm they are plausible, is
    taken as a mistake of the header: it stays mm, with a remark.

    Args:
        image: with its header.
        affine: voxel to world in that unit.
        path: of the file.
    """
    if not isinstance(image.header, nib.Nifti1Header):
        return 1.0, ""
    try:
        unit = image.header.get_xyzt_units()[0]
    except KeyError:
        return 1.0, f"{path.name}: the header names an unknown unit of length; taken as mm"
    factor = _UNITS.get(unit, 1.0)
    if factor == 1.0:
        return 1.0, ""
    sizes = voxel_sizes(affine)
    low, high = _PLAUSIBLE

    def plausible(lengths: np.ndarray) -> bool:
        return bool((lengths >= low).all() and (lengths <= high).all())

    if plausible(sizes) and not plausible(sizes * factor):
        return 1.0, f"{path.name}: the header says {unit}, which fits no image of a head; taken as mm"
    return factor, f"{path.name}: lengths in {unit} were turned into mm"


def overflow_remarks(values: np.ndarray, stored: np.dtype, path: Path) -> list[str]:
    """A remark where numbers, as read, may have wrapped round when they were saved with 16 bit (``stored``)."""
    if stored == np.int16 and values.min() < -32700 and values.max() > 32700:
        return [f"{path.name}: values from -32768 to 32767, all that 16 bit can hold; did larger ones wrap round?"]
    return []
