"""What a segmentation says in numbers: volumes, lesions, lesion load."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared_networks.metrics.lesions import lesion_components


def compute_volume_report(
    label: np.ndarray, affine: np.ndarray, class_names: Mapping[int, str], lesion_label: int | None = None
) -> dict[str, Any]:
    """Summarise a label map X x Y x Z, ready for JSON; 0, the background, is left out.

    ``lesion_label`` is the last of the classes where it is not given.

    - ``volumes_ml``: name -> volume in ml.
    - ``lesion_count``: connected components of the lesion class (26 neighbours).
    - ``lesion_load_ml``: their volume in ml.
    - ``lesion_load_percent``: the same as a share of all classes but the background; 0 when there is none.
    - ``lesion_volumes_ml``: volume of every lesion, largest first.
    - ``largest_lesion_voxel``: its voxel that is nearest to its centre of mass; None without lesions.
    """
    voxel_ml = abs(float(np.linalg.det(np.asarray(affine, dtype=np.float64)[:3, :3]))) / 1000.0
    volumes = {
        name: round(np.count_nonzero(label == int(number)) * voxel_ml, 4)
        for number, name in class_names.items()
        if int(number)
    }
    lesion_label = max(int(number) for number in class_names) if lesion_label is None else lesion_label
    components, sizes = lesion_components(label == lesion_label)
    segmented = int(np.count_nonzero(label))
    return {
        "volumes_ml": volumes,
        "lesion_count": int(sizes.size),
        "lesion_load_ml": round(int(sizes.sum()) * voxel_ml, 4),
        "lesion_load_percent": round(100.0 * int(sizes.sum()) / segmented, 4) if segmented else 0.0,
        "lesion_volumes_ml": [round(int(size) * voxel_ml, 4) for size in sorted(sizes.tolist(), reverse=True)],
        "largest_lesion_voxel": _middle(components == int(sizes.argmax()) + 1) if sizes.size else None,
    }


def _middle(mask: np.ndarray) -> list[int]:
    """The voxel of a mask that is nearest to its centre of mass."""
    voxels = np.argwhere(mask)
    return voxels[((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin()].tolist()
