"""Make synthetic T1 + FLAIR training cases for stage 2, of label maps of heads and masks of real lesions.

    python benchmarks/synthetic_cases.py LABEL_MAPS/tissues.json --lesions SHAPES --beside silver/datalist.json \\
        --output synthetic

writes ``synthetic/<subject>/{t1,flair,label}.nii.gz`` and ``synthetic/datalist.json``: the items of ``--beside`` with
the new ones evenly between its training items. Every structure has a mean of its own that is drawn around that of its
tissue, as in SynthSeg (Billot et al., Medical Image Analysis 86:102789, 2023) but within the contrasts of T1 and FLAIR,
so that the two images are what the network expects. Lesions are those of a random mask (in MNI space, carried over by
the box of the brain), where the map has white matter. CSF further than ``RIM`` mm from the brain is left out, as skull
stripping does; bias, blur, thick slices and degradations are left to the training's own transforms.
"""

import argparse
import json
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from benchmarks.silver_cases import labelled_items
from shared_networks.utils.masks import bounding_box

OUTSIDE, CSF, GM, WM, LESION = 0, 1, 2, 3, 4
TISSUES = {"outside": OUTSIDE, "CSF": CSF, "GM": GM, "WM": WM}
RIM = 3.0
MNI_BOX = np.array([[-72.0, -107.0, -70.0], [72.0, 73.0, 80.0]])
"""Corners in mm, left to right, posterior to anterior, inferior to superior, of the brain in MNI space."""
MEANS = {
    "t1": {CSF: (50, 250), GM: (400, 600), WM: (700, 900), LESION: (350, 700)},
    "flair": {CSF: (30, 150), GM: (600, 750), WM: (450, 600), LESION: (800, 1200)},
}
"""Ranges of the mean of a tissue in each image; those of T1 and FLAIR scans of 1.5 and 3 T whose largest value is about
1000."""
DEEP_GREY = ("Thalamus", "Pallidum", "Caudate", "Putamen", "VentralDC", "Accumbens")
"""Structures between grey and white matter in both images."""


def labels_of(ids: np.ndarray, table: dict) -> np.ndarray:
    """Class 0..3 of every voxel of a map of ids, whole millimetres, without outer CSF that skull stripping takes."""
    classes = np.zeros(int(ids.max()) + 1, np.uint8)
    for number, entry in table["ids"].items():
        if int(number) < classes.size:
            classes[int(number)] = TISSUES[entry["tissue"]]
    label = classes[ids]
    brain, _ = ndimage.label(label > CSF)
    largest = brain == np.argmax(np.bincount(brain.ravel())[1:]) + 1
    near = ndimage.distance_transform_edt(~largest) <= RIM
    return np.where(near, label, OUTSIDE)


def place_lesions(mask: nibabel.Nifti1Image, label: np.ndarray) -> np.ndarray:
    """The lesions of ``mask`` (MNI space) in the white matter of ``label`` (axes R, A, S), bool X x Y x Z."""
    box = np.array([[side.start, side.stop - 1] for side in bounding_box(label > OUTSIDE)]).T
    scale = (MNI_BOX[1] - MNI_BOX[0]) / (box[1] - box[0])
    voxel_to_mni = nibabel.affines.from_matvec(np.diag(scale), MNI_BOX[0] - scale * box[0])
    matrix = np.linalg.inv(mask.affine) @ voxel_to_mni
    moved = ndimage.affine_transform(
        np.asarray(mask.dataobj, np.float32), matrix[:3, :3], matrix[:3, 3], output_shape=label.shape, order=1
    )
    return (moved > 0.5) & (label == WM)


def draw_image(
    name: str, ids: np.ndarray, label: np.ndarray, lesions: np.ndarray, table: dict, random: np.random.Generator
) -> np.ndarray:
    """An image float32 X x Y x Z, 0 outside the brain."""
    means = {tissue: random.uniform(*limits) for tissue, limits in MEANS[name].items()}
    values = np.zeros(int(ids.max()) + 1)
    drawn: dict[str, float] = {}
    for number, entry in table["ids"].items():
        structure = (
            entry["name"].removeprefix("Left-").removeprefix("Right-").removeprefix("left ").removeprefix("right ")
        )
        if int(number) >= values.size or entry["tissue"] == "outside":
            continue
        if structure not in drawn:
            if structure.startswith(DEEP_GREY):
                mean = means[GM] + random.uniform(0.0, 0.7) * (means[WM] - means[GM])
            elif structure.startswith("choroid"):
                mean = random.uniform(means[CSF], means[GM])
            else:
                mean = means[TISSUES[entry["tissue"]]]
            drawn[structure] = mean * random.uniform(0.96, 1.04)
        values[int(number)] = drawn[structure]
    image = values[ids]
    # Partial volume: tissues mix over about a voxel, lesions have softer borders.
    image = ndimage.gaussian_filter(np.where(label > OUTSIDE, image, 0.0), random.uniform(0.4, 0.7))
    share = ndimage.gaussian_filter(lesions.astype(np.float32), random.uniform(0.5, 0.9))
    texture = ndimage.gaussian_filter(random.standard_normal(ids.shape), 2.0)
    texture *= 0.05 / texture.std()
    image = image + share * (means[LESION] * (1 + 2 * texture) - image)
    image = image * (1 + texture * random.uniform(0.2, 0.8))
    image += ndimage.gaussian_filter(random.standard_normal(ids.shape), 0.5) * random.uniform(20, 70)
    return np.where(label > OUTSIDE, np.clip(image, 1, None), 0).astype(np.float32)


def make_case(map_file: Path, mask_file: Path, table: dict, output: Path, seed: int) -> dict:
    """Write one case and return its item of the new list."""
    random = np.random.default_rng(seed)
    source = nibabel.as_closest_canonical(nibabel.load(map_file))
    ids = np.asarray(source.dataobj).astype(int)
    label = labels_of(ids, table)
    lesions = place_lesions(nibabel.load(mask_file), label)
    box = bounding_box(label > OUTSIDE)
    affine = source.affine @ nibabel.affines.from_matvec(np.eye(3), [side.start for side in box])
    subject = f"synthetic-{seed:02d}"
    folder = output / subject
    folder.mkdir(parents=True, exist_ok=True)
    images = {name: draw_image(name, ids[box], label[box], lesions[box], table, random) for name in MEANS}
    images["label"] = np.where(lesions, LESION, label)[box]
    for name, values in images.items():
        dtype = np.uint8 if name == "label" else np.int16
        nibabel.save(nibabel.Nifti1Image(np.round(values).astype(dtype), affine), folder / f"{name}.nii.gz")
    return {"subject": subject} | {name: str(folder / f"{name}.nii.gz") for name in images}


def spread(items: list[dict], between: list[dict]) -> list[dict]:
    """``items`` in their order, with those of ``between`` at equal distances."""
    places = [(number + 0.5) * len(items) / max(len(between), 1) for number in range(len(between))]
    keyed = [(number, 0, item) for number, item in enumerate(items)]
    keyed += [(place, 1, item) for place, item in zip(places, between, strict=True)]
    return [item for *_, item in sorted(keyed, key=lambda entry: entry[:2])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tissues", type=Path, help="table of ids beside the label maps")
    parser.add_argument("--lesions", type=Path, required=True, help="folder of lesion masks in MNI space")
    parser.add_argument("--leave_out", nargs="*", default=[], help="names of masks that are not taken")
    parser.add_argument("--beside", type=Path, required=True, help="data list whose items stand beside the new ones")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    table = json.loads(options.tissues.read_text(encoding="utf-8"))
    maps = sorted(options.tissues.parent.glob("*.nii.gz"))
    masks = [
        path
        for path in sorted(options.lesions.glob("*.nii.gz"))
        if path.name.removesuffix(".nii.gz") not in {"lesion_probability", *options.leave_out}
    ]
    output = options.output.resolve()
    chosen = np.random.default_rng(0).permutation(len(masks))
    cases = [
        make_case(maps[number % len(maps)], masks[chosen[number % len(masks)]], table, output, number)
        for number in range(options.count)
    ]
    lists = {section: labelled_items(options.beside, section) for section in ("training", "validation")}
    lists["training"] = spread(lists["training"], cases)
    (output / "datalist.json").write_text(json.dumps(lists, indent=1) + "\n", encoding="utf-8")
    print(f"{len(cases)} cases in {output}, {len(lists['training'])} training items in its datalist.json")


if __name__ == "__main__":
    main()
