"""The results of a case as DICOM: the fused volume as a derived series, the label map as a segmentation object."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shared_networks.errors import InputError
from shared_networks.io.derived_series import read_headers, write_derived_series
from shared_networks.io.dicom_series import locate_series
from shared_networks.io.file_names import file_kind
from shared_networks.io.segmentation_object import write_segmentation_object


def write_dicom_results(
    folder: Path,
    fused: np.ndarray,
    meta: Mapping[str, Any],
    algorithm: str,
    label: np.ndarray | None = None,
    class_names: Mapping[int, str] | None = None,
) -> dict[str, str]:
    """Write ``fused/0001.dcm`` ... and, where there is a label map, ``seg.dcm``; returns the new UIDs, for the report.

    ``fused``, X x Y x Z in [0, 1] or 3 x X x Y x Z, and ``label``, class numbers X x Y x Z, are on the grid of the
    first source's series; ``meta`` has the pair's ``filename_or_obj``, ``other_filename``, ``original_affine``;
    ``algorithm`` is the name of the method. The folder exists.

    Raises InputError when the series has changed, or its headers lack what the standard asks for.
    """
    path, other = str(meta["filename_or_obj"]), str(meta.get("other_filename", ""))
    series, affine = locate_series(path)
    if not np.allclose(affine, np.asarray(meta["original_affine"]), atol=1e-3):
        raise InputError(f"{path}: the series changed while it was used; run the case again.")
    try:
        source = read_headers(series)
        others = read_headers(locate_series(other)[0]) if file_kind(other) == "series" else []
        record = {"fused_series": write_derived_series(folder / "fused", fused, source, others, f"{algorithm} fused")}
        if label is not None:
            record["segmentation"] = write_segmentation_object(
                folder / "seg.dcm", label, affine, source, others, class_names or {}, algorithm
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(
            f"{path}: its headers are not fit for DICOM output ({reason}); set dicom_output to False."
        ) from error
    return record
