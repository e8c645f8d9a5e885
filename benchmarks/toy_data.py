"""Made-up data and toy budgets of the benchmarks' ``--quick`` forms."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np

from benchmarks.rmr_study_plan import Budget

__all__ = ["QUICK_BUDGET", "write_toy_brains"]

_SHORT = {
    "learning_rate": 1e-3,
    "cache_rate": 1.0,
}
QUICK_BUDGET = Budget(
    stage1=2,
    stage2=2,
    epoch=2,
    keys1={"patch_size": [14, 14, 7], "validation_size": [14, 14, 7], "batch_size": 1, **_SHORT},
    keys2={"patch_size": [14, 14, 7], **_SHORT},
    keys_evaluation={"roi_size": [32, 32, 32], "overlap": 0.0},
)


def write_toy_brains(folder: Path, labelled: int = 4, unlabelled: int = 1) -> Path:
    """A data set of balls with shells for tissues and a bright spot for a lesion: ``datalist.json`` and volumes."""
    random = np.random.default_rng(0)
    shape = (46, 44, 8)  # VIF takes slices of 41 x 41 and more
    halves = np.array(shape).reshape(3, 1, 1, 1) / 2
    radius = np.sqrt((((np.indices(shape) + 0.5) / halves - 1) ** 2).sum(axis=0))
    labels = np.select([radius < 0.3, radius < 0.6, radius < 0.8, radius < 0.95], [1, 3, 2, 1]).astype(np.uint8)
    labels[27:32, 20:25, 3:6] = 4
    brightness = {"t1": [0, 200, 500, 800, 600], "flair": [0, 100, 600, 500, 900]}
    folder.mkdir(parents=True, exist_ok=True)
    items = []
    for index in range(labelled + unlabelled):
        item = {"subject": f"toy{index}"}
        for name, values in brightness.items():
            volume = np.array(values)[labels] + random.normal(0, 20, shape) * (labels > 0)
            item[name] = f"toy{index}_{name}.nii.gz"
            nib.save(nib.Nifti1Image(volume.clip(0).astype(np.int16), np.eye(4)), folder / item[name])
        if index < labelled:
            item["label"] = f"toy{index}_label.nii.gz"
            nib.save(nib.Nifti1Image(labels, np.eye(4)), folder / item["label"])
        items.append(item)
    sections = {"training": items[:labelled], "unlabelled_training": items[labelled:]}
    (folder / "datalist.json").write_text(json.dumps(sections), encoding="utf-8")
    return folder
