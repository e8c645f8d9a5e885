"""Write what RMR-Fusion makes of one case: fused volume, label map, report, picture for quality control."""

import hashlib
import json
import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import KeysCollection
from nibabel.affines import voxel_sizes

from shared_networks.errors import CaseStatus
from shared_networks.io.dicom_output import write_dicom_results
from shared_networks.io.source_geometry import like_source
from shared_networks.metrics.lesion_regions import lesions_by_region
from shared_networks.metrics.volume_report import compute_volume_report
from shared_networks.transforms.save_case import SaveSegmentedCased, plain_array, readable_json
from shared_networks.utils.atomic import atomic_files, write_text
from shared_networks.visualize.label_names import name_labels
from shared_networks.visualize.quality_control import quality_control_figure


class SaveFusedSegmentationd(SaveSegmentedCased):
    """Write the results of a case into ``<output_dir>/<case>/``.

    - ``<case>_fused.nii.gz``: float32 in [0, 1];
    - ``<case>_seg.nii.gz``: class numbers, uint8, with their names in the header
      (:func:`shared_networks.visualize.label_names.name_labels`);
    - ``<case>_report.json``: volumes and lesions (:func:`shared_networks.metrics.compute_volume_report`,
      :func:`shared_networks.metrics.lesion_regions.lesions_by_region`), image quality, certainty, inputs, grid,
      warnings of the loader, SHA-256 of the weights and of the settings, version of the package;
    - ``<case>_qc.png``: :func:`shared_networks.visualize.quality_control.quality_control_figure`, through the largest
      lesion if there is one;
    - ``<case>_lesion_probability.nii.gz``: float32 in [0, 1], where the item holds the probability.

    With ``dicom_output`` there is ``<case>_dicom/`` too, see
    :func:`shared_networks.io.dicom_output.write_dicom_results`.

    All volumes have the grid of the first modality's file, with its affines and their codes; all tensors must be on
    that grid already (``Invertd``). All files appear together or not at all. It is a ``SaveImaged`` so that MONAI
    Label, which writes results itself, leaves it out.

    When the files cannot be written (disk full, no permission), or when the network gave values that are not numbers,
    the case goes on without them, with the reason under ``refused``.

    Args:
        keys: label map, 1 x X x Y x Z.
        settings: what else decided the result, for the report; anything that JSON can hold.
        small_key: number and volume of the lesions that were left out as too small; may be missing.
        region_classes: numbers of CSF, grey matter and lesions, by which lesions are distinguished by region; None
            leaves that out.
        quality_key: noise and blur of each modality, 2 x 2 (:class:`shared_networks.handlers.ImageQuality`); may be
            missing.
        certainty_key: numbers of :class:`shared_networks.transforms.SegmentationCertaintyd` and ``LesionIntervald``;
            may be missing.
        shared: of :class:`shared_networks.transforms.save_case.SaveSegmentedCased`.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        settings: Mapping[str, Any] | None = None,
        small_key: str = "small_lesions",
        region_classes: Sequence[int] | None = None,
        quality_key: str = "image_quality",
        certainty_key: str = "certainty",
        **shared: Any,
    ) -> None:
        super().__init__(keys, **shared)
        self.quality_key = quality_key
        self.certainty_key = certainty_key
        self.small_key = small_key
        self.region_classes = region_classes
        self.settings = dict(settings or {})

    def write(self, d: dict[Hashable, Any], key: Hashable, folder: Path, name: str) -> None:
        """Write volume, label map, report and picture."""
        fused = plain_array(d[self.fused_key])[0]
        if not np.isfinite(fused).all():
            d[CaseStatus.REFUSED] = f"{name}: the network gave values that are not numbers; use another checkpoint."
            return
        fused = fused.clip(0.0, 1.0)
        image = d[self.image_key]
        affine = np.asarray(image.meta["original_affine"], dtype=np.float64)
        label = plain_array(d[key])[0].round().astype(np.uint8)
        report = self._report(d, label, affine, name)
        first, second = plain_array(image)
        images = dict(zip((name.upper() for name in self.modalities), (first, second), strict=True))
        figure = quality_control_figure(
            images | {"fused": fused}, label, affine, self.class_names, report["largest_lesion_voxel"], name
        )
        source = str(image.meta["filename_or_obj"])
        with atomic_files(folder, report["files"]) as paths, self.dicom_folder(folder, name) as dicom:
            fused_path, label_path, picture, *others, text = paths
            if dicom:
                report["dicom"] = write_dicom_results(dicom, fused, image.meta, "RMR-Fusion", label, self.class_names)
            nib.save(like_source(fused, affine, source, "fused image"), fused_path)
            nib.save(name_labels(like_source(label, affine, source, "label map"), self.class_names), label_path)
            for path in others:
                probability = plain_array(d[self.probability_key])[0].clip(0.0, 1.0)
                nib.save(like_source(probability, affine, source, "probability of lesions"), path)
            figure.savefig(picture, dpi=100, facecolor=figure.get_facecolor())
            write_text(text, readable_json(report))

    def _report(self, d: dict[Hashable, Any], label: np.ndarray, affine: np.ndarray, name: str) -> dict[str, Any]:
        endings = ["fused.nii.gz", "seg.nii.gz", "qc.png"]
        endings += ["lesion_probability.nii.gz"] if self.probability_key in d else []
        endings += ["report.json"]
        small, regions = d.get(self.small_key), self.region_classes
        settings = json.dumps(self.settings, sort_keys=True)
        meta = d[self.image_key].meta
        inputs = self.source_files(meta, self.modalities)
        missing = meta.get("missing_modality", "")
        if missing:
            inputs = {modality: "" if modality == missing else next(iter(inputs.values())) for modality in inputs}
        return {
            "case": name,
            "inputs": inputs,
            **({"missing_modality": missing} if missing else {}),
            "grid": {
                "shape": list(label.shape),
                "spacing_mm": [round(float(size), 6) for size in voxel_sizes(affine)],
                "orientation": "".join(nib.aff2axcodes(affine)),
            },
            **compute_volume_report(label, affine, self.class_names),
            **({"small_lesions": small} if small else {}),
            **({} if regions is None else {"lesions_by_region": lesions_by_region(label, affine, regions)}),
            **({"certainty": d[self.certainty_key]} if self.certainty_key in d else {}),
            **self._quality(d, missing),
            "preparation": json.loads(meta.get("preparation") or "{}"),
            **self.origin(d, [f"{name}_{ending}" for ending in endings]),
            "settings": json.loads(settings),
            "settings_sha256": hashlib.sha256(settings.encode()).hexdigest(),
            "note": "For research only, not for diagnosis. The segmentation was made automatically.",
        }

    def _quality(self, d: dict[Hashable, Any], missing: str) -> dict[str, Any]:
        """Scores by modality; None for one that cannot be scored, and none of one that is missing."""
        if self.quality_key not in d:
            return {}
        scores = {
            modality: {
                name: round(value, 3) if math.isfinite(value) else None
                for name, value in zip(("noise", "blur"), values, strict=True)
            }
            for modality, values in zip(self.modalities, plain_array(d[self.quality_key]).tolist(), strict=True)
            if modality != missing
        }
        return {"image_quality": scores}
