"""Results of a volume in the geometry of the file that it came from."""

from pathlib import Path

import nibabel as nib
import numpy as np

from shared_networks.io.file_names import file_kind, header_beside
from shared_networks.io.header_checks import affine_of, open_volume, unit_factor


def like_source(voxels: np.ndarray, affine: np.ndarray, source: str, description: str) -> nib.Nifti1Image:
    """A NIfTI image with the geometry of the source's header, where the source is a NIfTI file on the same grid; in mm.

    Args:
        voxels: X x Y x Z, of the type to write.
        affine: voxel to world in mm, 4 x 4, float64.
        source: file that the voxels were made of; for another kind of file the affine alone is the geometry.
        description: what the image is, for its header.
    """
    header = _header(Path(source))
    if header is None or header.get_data_shape()[:3] != voxels.shape:
        return nib.Nifti1Image(voxels, affine)
    if not np.allclose(header.get_best_affine(), affine, rtol=1e-6, atol=1e-9):
        return nib.Nifti1Image(voxels, affine)
    header.extensions.clear()
    header.set_data_dtype(voxels.dtype)
    header["cal_min"], header["cal_max"], header["intent_code"] = 0, 0, 0
    header["descrip"] = description.encode()
    kind = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    # With affine=None nibabel leaves both affines of the header and their codes as they are.
    return kind(voxels, None, header)


def _header(path: Path) -> nib.Nifti1Header | None:
    """A copy of the header of a NIfTI file, with lengths in mm, for a single file; None for another kind of file."""
    if file_kind(path) != "volume" and header_beside(path) is None:
        return None
    try:
        image = open_volume(header_beside(path) or path)
    except nib.filebasedimages.ImageFileError:  # a format that nibabel does not read
        return None
    if not isinstance(image.header, nib.Nifti1Header):
        return None
    single = nib.Nifti2Header if isinstance(image.header, nib.Nifti2Header) else nib.Nifti1Header
    header = single.from_header(image.header, check=False)
    factor, _ = unit_factor(image, affine_of(image, path)[0], path)
    if factor != 1.0:
        scale = np.diag([factor] * 3 + [1.0])
        sform, sform_code = image.header.get_sform(coded=True)
        qform, qform_code = image.header.get_qform(coded=True)
        if qform_code:
            header.set_qform(scale @ qform, int(qform_code))
        if sform_code:
            header.set_sform(scale @ sform, int(sform_code))
        header.set_zooms([size * factor for size in image.header.get_zooms()[:3]] + list(image.header.get_zooms()[3:]))
        header.set_xyzt_units("mm", image.header.get_xyzt_units()[1])
    return header
