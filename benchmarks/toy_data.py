"""Made-up data and toy budgets of the benchmarks' ``--quick`` forms."""

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image

from benchmarks.rmr_study_plan import Budget

_SMALL_HEAD = {"semantic_head#channels": [4, 8], "semantic_head#strides": [2]}
QUICK_BUDGET = Budget(
    stage1=2,
    stage2=2,
    epoch=2,
    keys1={"patch_size": [14, 14, 7], "validation_size": [14, 14, 7], "batch_size": 1},
    keys2={"patch_size": [14, 14, 7], **_SMALL_HEAD},
    keys_evaluation={"roi_size": [48, 48, 16], "overlap": 0.0, **_SMALL_HEAD},
)
"""Of UNet heads that fit no brain."""
QUICK_CONTESTANTS = ("ours_unet", "unet_alone")
QUICK_GESENET = {"patch_size": [44, 44], "batch_size": 1, "validation_cases": {}}
"""Overrides of GeSeNet's training on made-up pairs."""
FEW_VERSIONS = {"versions": 2, "renewed": 1}
"""Overrides of stage 2 of RMR-Fusion, so that its first step comes soon."""


def small_gesenet(pairs: Path) -> dict[str, Any]:
    """:data:`QUICK_GESENET` for these pairs; those without a part to validate with keep the cases of train.json."""
    keys = dict(QUICK_GESENET)
    if not any(pairs.glob("*/val")):
        del keys["validation_cases"]
    return keys


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


def write_toy_pictures(folder: Path, size: int = 44) -> Path:
    """Pairs of MRI and CT: rings and a disc, with noise; two for training, one for validation, two for the test."""
    random = np.random.default_rng(0)
    rows, columns = (np.indices((size, size)) + 0.5) / size * 2 - 1
    radius = np.hypot(rows, columns)
    pictures = {"mri": 200 * (radius < 0.7), "other": 250 * ((radius > 0.7) & (radius < 0.85)) + 40 * (radius < 0.3)}
    for part, count in (("train", 2), ("val", 1), ("test", 2)):
        for side, picture in pictures.items():
            place = folder / "CT" / part / side
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                noisy = (picture + random.normal(0, 10, picture.shape)).clip(0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(place / f"{part}{number}.png")
    return folder
