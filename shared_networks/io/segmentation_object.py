"""A label map as a DICOM segmentation object (SEG), by highdicom."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from nibabel.affines import voxel_sizes

import shared_networks
from shared_networks.io.derived_series import new_series_number

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TISSUE = ("85756007", "SCT", "Tissue")
# Category and type of context groups 7150 and 7140, 7151, 7153 of PS3.16.
_CODES = {
    "CSF": (("91720002", "SCT", "Body Substance"), ("65216001", "SCT", "Cerebrospinal Fluid")),
    "GM": (_TISSUE, ("389081007", "SCT", "Gray Matter")),
    "WM": (_TISSUE, ("389080008", "SCT", "White Matter")),
    "WML": (
        ("49755003", "SCT", "Morphologically Abnormal Structure"),
        ("110702", "DCM", "White Matter T2 Hyperintensity"),
    ),
}


def write_segmentation_object(
    path: Path,
    label: np.ndarray,
    affine: np.ndarray,
    source: Sequence["Dataset"],
    others: Sequence["Dataset"],
    class_names: Mapping[int, str],
    algorithm: str,
) -> str:
    """Write one binary segment for each class, with coded terms for CSF, GM, WM and WML; returns the SOP Instance UID.

    ``label`` are class numbers, columns x rows x slices, 0 is no segment, on the grid of the series whose headers, in
    the order of the slices, are ``source``; ``affine`` is voxel to world in mm. ``others`` are headers of the other
    images that it was made of; empty where these are no DICOM images. A class name without a coded term becomes a
    tissue; ``algorithm`` is the name of the method.
    """
    from highdicom.content import AlgorithmIdentificationSequence, PixelMeasuresSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
    from highdicom.sr.coding import CodedConcept
    from pydicom.uid import generate_uid

    method = AlgorithmIdentificationSequence(
        name=algorithm,
        version=shared_networks.__version__,
        family=CodedConcept("123110", "DCM", "Artificial Intelligence"),
    )
    segments = []
    for number in sorted(number for number in class_names if number):
        category, kind = _CODES.get(class_names[number], (_TISSUE, _TISSUE))
        segments.append(
            SegmentDescription(
                segment_number=number,
                segment_label=class_names[number],
                segmented_property_category=CodedConcept(*category),
                segmented_property_type=CodedConcept(*kind),
                algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=method,
            )
        )
    columns, rows, slices = (float(size) for size in voxel_sizes(affine))
    segmentation = Segmentation(
        source_images=list(source),
        pixel_array=np.ascontiguousarray(label.T.astype(np.uint8)),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
        # not left to the headers, in which thickness and distance of slices are often one for the other, or missing
        pixel_measures=PixelMeasuresSequence(
            pixel_spacing=(rows, columns), slice_thickness=slices, spacing_between_slices=slices
        ),
        series_instance_uid=generate_uid(prefix=None),
        series_number=new_series_number(source[0], 2),
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer=shared_networks.__name__,
        manufacturer_model_name=algorithm,
        software_versions=shared_networks.__version__,
        device_serial_number="0",
        series_description=f"{algorithm} segmentation, research only",
        # an empty map has no frame that could be left out
        omit_empty_frames=bool(label.any()),
        further_source_images=list(others) or None,
    )
    segmentation.save_as(path)
    return str(segmentation.SOPInstanceUID)
