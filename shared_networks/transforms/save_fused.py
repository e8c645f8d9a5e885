"""Write the fused image of one case in the format of its sources, and a picture that shows sources and result."""

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.config import KeysCollection
from PIL import Image

from shared_networks.io.colour import ycbcr_to_rgb
from shared_networks.io.dicom_output import write_dicom_results
from shared_networks.io.source_geometry import like_source
from shared_networks.transforms.save_case import SaveCased, readable_json
from shared_networks.utils.atomic import atomic_files, write_text
from shared_networks.utils.slice_axis import slice_axis
from shared_networks.visualize.side_by_side import side_by_side


class SaveFusedd(SaveCased):
    """Write ``<output_dir>/<case>/<case>_fused.(png|nii.gz)``, ``<case>_comparison.png`` and ``<case>_report.json``.

    Pictures become PNG with the sources' bit depth. Volumes become NIfTI on the MRI's grid: float32 in [0, 1] with the
    MRI's header geometry (affines and their codes), or RGB24 for a coloured result. The report says of which images and
    weights they were made, and what was done to the images first. With ``dicom_output`` there is ``<case>_dicom/`` too,
    see :func:`shared_networks.io.dicom_output.write_dicom_results`. The files of a case appear together or not at
    all. It is a ``SaveImaged`` so that MONAI Label, which writes results itself, leaves it out.

    When the files cannot be written (disk full, no permission), the case goes on without them, with the reason under
    ``refused``.

    Args:
        keys: picture to write, 1 or 3 x spatial in [0, 1].
        output_dir: folder of the results; '' writes nothing.
        image_key: sources, 2 x spatial MetaTensor; its meta says what the MRI's file was.
        chroma_key: chroma, to show the other source in colour.
        masks_key: principal masks, 2 x spatial, for the comparison; may be missing.
        warning_key: warnings of the loader.
        case_key: name of the case.
        checkpoint: file of the weights, for the report; '' leaves it out.
        spatial_dim: axis over which a volume was cut into slices; the comparison shows the fullest one.
        comparison: write the comparison too.
        dicom_output: write the result as a DICOM series too; the MRI must be one.
    """

    def __init__(
        self,
        keys: KeysCollection = "fused",
        output_dir: str = "",
        image_key: str = "image",
        chroma_key: str = "chroma",
        masks_key: str = "masks",
        warning_key: str = "warning",
        case_key: str = "case",
        checkpoint: str = "",
        spatial_dim: int = 2,
        comparison: bool = True,
        dicom_output: bool = False,
    ) -> None:
        super().__init__(keys, output_dir, warning_key, case_key, checkpoint, dicom_output)
        self.image_key = image_key
        self.chroma_key = chroma_key
        self.masks_key = masks_key
        self.spatial_dim = spatial_dim
        self.comparison = comparison

    def write(self, d: dict[Hashable, Any], key: Hashable, folder: Path, name: str) -> None:
        """Write picture or volume, the comparison, and the report."""
        fused = np.asarray(d[key].as_subclass(torch.Tensor).cpu(), dtype=np.float32)
        meta = d[self.image_key].meta
        bit_depth = int(meta["bit_depth"])
        names = [f"{name}_fused.{'png' if bit_depth else 'nii.gz'}"]
        names += [f"{name}_comparison.png"] if self.comparison else []
        names += [f"{name}_report.json"]
        report = {
            "case": name,
            "inputs": self.source_files(meta, ("mri", "other")),
            "preparation": json.loads(meta.get("preparation") or "{}"),
            **self.origin(d, names),
        }
        with atomic_files(folder, names) as paths, self.dicom_folder(folder, name) as dicom:
            if bit_depth:
                _write_picture(fused, paths[0], bit_depth)
            else:
                _write_volume(fused, paths[0], d[self.image_key].affine, meta["filename_or_obj"])
            if dicom:
                image = fused if fused.shape[0] == 3 else fused[0]
                report["dicom"] = write_dicom_results(dicom, image, meta, "GeSeNet")
            if self.comparison:
                self._compare(d, fused).save(paths[1])
            write_text(paths[-1], readable_json(report))

    def _compare(self, d: dict[Hashable, Any], fused: np.ndarray) -> Image.Image:
        image = d[self.image_key].as_subclass(torch.Tensor).cpu()
        chroma = torch.as_tensor(d[self.chroma_key]).as_subclass(torch.Tensor).cpu()
        masks = d.get(self.masks_key)
        return side_by_side(
            mri=image[:1].numpy(),
            other=ycbcr_to_rgb(image[1:2], chroma).clamp(0.0, 1.0).numpy(),
            fused=fused,
            masks=None if masks is None else np.asarray(masks.as_subclass(torch.Tensor).cpu()),
            affine=np.asarray(d[self.image_key].affine),
            spatial_dim=slice_axis(image.shape[1:], self.spatial_dim),
        )


def _write_picture(fused: np.ndarray, path: Path, bit_depth: int) -> None:
    highest = 2**bit_depth - 1
    pixels = np.rint(fused * highest).astype(np.uint8 if bit_depth == 8 else np.uint16)
    pixels = np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    if pixels.shape[-1] == 1:
        Image.fromarray(pixels[..., 0]).save(path)
    elif bit_depth == 8:
        Image.fromarray(pixels).save(path)
    else:
        import itk  # Pillow cannot write 16-bit colour.

        try:
            itk.imwrite(itk.image_from_array(pixels, is_vector=True), str(path))
        except RuntimeError as error:
            raise OSError(" ".join(str(error).split())) from error


def _write_volume(fused: np.ndarray, path: Path, affine: torch.Tensor, source: str) -> None:
    affine = np.asarray(affine, dtype=np.float64)
    if fused.shape[0] == 3:
        voxels = np.zeros(fused.shape[1:], dtype=[(name, "u1") for name in "RGB"])
        for name, channel in zip("RGB", fused, strict=True):
            voxels[name] = np.rint(channel * 255.0)
    else:
        voxels = fused[0]
    nib.save(like_source(voxels, affine, source, "fused image"), path)
