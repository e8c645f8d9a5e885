"""Make training cases for stage 2 of subjects with automatic labels: 1 mm in the plane, unsure voxels left out.

    python benchmarks/silver_cases.py NICHART/datalist.json --beside BRAINS/datalist.json --output silver

writes ``silver/<subject>/{t1,flair,label}.nii.gz`` and ``silver/datalist.json``: the validation items of ``--beside``,
and its training items in rounds, each with five of the new cases between them; those with thin slices three times.
For one fold of a cross-validation, ``--held_out a,b,c`` makes these subjects the validation items, and all others those
of the training. What an automatic label does not know becomes 255, "not labelled", which no loss counts:

- white matter that is bright on FLAIR, above the midpoint between the medians of WM and of lesions: the lesion masks
  are the bright core only;
- voxels with a neighbour of another tissue: where procedures draw a border differs, and only one of them is scored.
  Grey matter that is as bright on FLAIR as the most of it stays: bright cortex is what must not be taken for lesion.
"""

import argparse
import json
from pathlib import Path

import nibabel
import numpy as np
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, Spacingd
from scipy import ndimage

CSF, GM, WM, LESION, NOT_LABELLED = 1, 2, 3, 4, 255


def sure_labels(label: np.ndarray, flair: np.ndarray) -> np.ndarray:
    """Labels X x Y x Z of 0..4 with 255 where they cannot be relied on."""
    middle = (np.median(flair[label == WM]) + np.median(flair[label == LESION])) / 2
    unsure = (label == WM) & (flair > middle)
    tissues = [(label == value) for value in (CSF, GM, WM)]
    borders = sum(ndimage.binary_dilation(tissue).astype(int) for tissue in tissues) > 1
    clear_cortex = (label == GM) & (flair >= np.median(flair[label == GM]))
    unsure |= borders & (label > 0) & (label < LESION) & ~clear_cortex
    return np.where(unsure, NOT_LABELLED, label).astype(np.uint8)


def make_case(item: dict, folder: Path, output: Path) -> dict:
    """Write one case and return its item of the new list."""
    images = LoadImaged(keys=["t1", "flair", "label"])(
        {key: str(folder / item[key]) for key in ("t1", "flair", "label")}
    )
    images["label"].set_array(
        images["label"].new_tensor(sure_labels(images["label"].numpy(), images["flair"].numpy()).astype(np.float32))
    )
    plane = Compose(
        [
            EnsureChannelFirstd(keys=["t1", "flair", "label"], channel_dim="no_channel"),
            Spacingd(
                keys=["t1", "flair", "label"],
                pixdim=(1.0, 1.0, float(item["spacing"][2])),
                mode=["bilinear", "bilinear", "nearest"],
                padding_mode="border",
            ),
        ]
    )
    resampled = plane(images)
    case = output / item["subject"]
    case.mkdir(parents=True, exist_ok=True)
    mask = (resampled["label"][0].numpy() > 0).astype(np.float32)
    for key in ("t1", "flair", "label"):
        values = np.round(resampled[key][0].numpy() * (1 if key == "label" else mask))
        dtype = np.uint8 if key == "label" else np.int16
        nibabel.save(nibabel.Nifti1Image(values.astype(dtype), resampled[key].affine.numpy()), case / f"{key}.nii.gz")
    return {"subject": item["subject"]} | {key: str(case / f"{key}.nii.gz") for key in ("t1", "flair", "label")}


def mixed(labelled: list[dict], silver: list[dict], thin: float = 1.5, a_round: int = 5) -> list[dict]:
    """Items in rounds: all labelled ones, between them those of at most ``thin`` mm twice more, and new ones."""
    rounds = []
    for start in range(0, len(silver), a_round):
        between = silver[start : start + a_round] + [item for item in labelled if item["spacing"][2] <= thin] * 2
        for number, item in enumerate(labelled):
            rounds += [item, *between[number :: len(labelled)]]
    return rounds


def labelled_items(datalist: Path, section: str) -> list[dict]:
    """Items of a list, with whole paths."""
    items = json.loads(datalist.read_text(encoding="utf-8"))[section]
    folder = datalist.resolve().parent
    return [
        item
        | {key: str(folder / item[key]) for key in ("t1", "flair", "label", "normal_hyperintensity") if key in item}
        for item in items
    ]


def divided(lists: dict[str, list[dict]], held_out: list[str]) -> dict[str, list[dict]]:
    """Training and validation items, divided anew where names of subjects are given.

    Raises:
        SystemExit: when a name is of none of them.
    """
    items = [item for section in ("training", "validation") for item in lists[section]]
    unknown = set(held_out) - {item["subject"] for item in items}
    if unknown:
        raise SystemExit(f"no subject {', '.join(sorted(unknown))} in the training and validation items")
    if not held_out:
        return lists
    return {
        "training": [item for item in items if item["subject"] not in held_out],
        "validation": [item for item in items if item["subject"] in held_out],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datalist", type=Path)
    parser.add_argument("--section", default="silver_training")
    parser.add_argument("--beside", type=Path, required=True, help="list of the subjects with labels of their own")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--held_out", default="", help="names of subjects, with commas")
    options = parser.parse_args()
    lists = {section: labelled_items(options.beside, section) for section in ("training", "validation")}
    lists = divided(lists, options.held_out.split(",") if options.held_out else [])
    items = json.loads(options.datalist.read_text(encoding="utf-8"))[options.section]
    output = options.output.resolve()
    cases = [make_case(item, options.datalist.parent, output) for item in items]
    lists["training"] = mixed(lists["training"], cases)
    (output / "datalist.json").write_text(json.dumps(lists, indent=1) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases in {output}, {len(lists['training'])} training items in its datalist.json")


if __name__ == "__main__":
    main()
