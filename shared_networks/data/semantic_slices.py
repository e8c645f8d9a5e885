"""Labelled pictures for the pre-training of GeSeNet's semantic module, read into memory."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from monai.transforms import Orientation

from shared_networks.data.case_list import path_in_list, read_datalist
from shared_networks.data.gesenet_cases import pair_folders
from shared_networks.data.tissue_classes import pair_tissue_classes
from shared_networks.errors import CaseStatus, InputError, raise_refusal
from shared_networks.io.file_names import file_kind
from shared_networks.io.geometry_checks import check_affine, check_same_grid
from shared_networks.io.reading import read_source
from shared_networks.io.source_pair import on_grid_of
from shared_networks.transforms.healed_lesions import scale_within
from shared_networks.transforms.label_maps import label_values, refuse_other_labels

_MODALITIES = ("CT", "PET", "SPECT")
_LESION, _WHITE = 4, 3
_PERCENTILES = (0.5, 99.5)
_MINIMUM_BRAIN = 0.05  # share of a slice that is brain; thinner caps teach nothing


def _luminance(path: Path) -> np.ndarray:
    """H x W in [0, 1]; colour by BT.601, 8 and 16 bit as everywhere."""
    source = read_source(path)
    if source.affine is not None:
        raise InputError(f"{path}: not a picture; replace or remove it.")
    return source.values


def _with_mixtures(case: str, group: str, first: np.ndarray, second: np.ndarray, label: np.ndarray) -> list[dict]:
    """Both sources and two plain fusions of them with one label: fused images are what the module will judge."""
    pictures = (first, second, np.maximum(first, second), (first + second) / 2)
    item = {"case": case, "modality": group, "label": np.ascontiguousarray(label, np.uint8)[None]}
    return [item | {"image": np.ascontiguousarray(picture, np.float32)[None]} for picture in pictures]


def _volumes(folder: Path, entry: Mapping) -> tuple[list[np.ndarray], np.ndarray]:
    """T1 and FLAIR, each X x Y x Z in [0, 1] and 0 outside the brain, and the label map, all with axes left, anterior,
    superior."""
    turn = Orientation("LAS", labels=None)
    volumes, sources = {}, {}
    for key in ("t1", "flair", "label"):
        path = Path(path_in_list(folder, str(entry.get(key, key))))
        if key not in entry or not path.is_file():
            raise InputError(f"{path}: no such file, expected t1, flair and label of every entry; add or remove it.")
        sources[key] = source = read_source(path)
        if source.affine is None:
            raise InputError(f"{path}: a picture, expected a volume; replace or remove it.")
        check_affine(source)
        volumes[key] = np.asarray(turn(on_grid_of(source, source.values[None])))[0]
        if volumes[key].shape != volumes["t1"].shape or not (volumes[key] > 0).any():
            raise InputError(
                f"{path}: shape {volumes[key].shape} (T1: {volumes['t1'].shape}) or no value above 0, expected one "
                "grid and some content; resample or remove it."
            )
        check_same_grid(sources["t1"], source)
    images = [volumes[key].astype(np.float32) for key in ("t1", "flair")]
    scaled = [scale_within(image, image > 0, *_PERCENTILES) for image in images]
    refuse_other_labels(label_values(sources["label"]), range(_LESION + 1), str(sources["label"].path))
    label = volumes["label"].round().astype(np.uint8)
    label[label == _LESION] = _WHITE
    return scaled, label


def brain_slices(brain_dir: str, section: str) -> list[dict]:
    """Axial slices of labelled T1 and FLAIR volumes, items of :func:`labelled_slices` with ``modality`` "brain".

    Volumes are turned to anterior up and the patient's right on the left of the picture, as the slice pairs are, and
    scaled to [0, 1] between the 0.5th and 99.5th percentile of the voxels above 0. Lesions count as white matter.

    A section ("training" or "validation") of ``datalist.json`` in the folder lists dicts with ``t1``, ``flair`` and
    ``label`` (0 background, 1 CSF, 2 grey matter, 3 white matter, 4 lesion). Raises InputError for a missing list or
    file, and for volumes that are unreadable, empty or of different shapes.
    """
    listing = Path(brain_dir) / "datalist.json"
    items: list[dict] = []
    for entry in read_datalist(listing).get(section, []):
        if not isinstance(entry, Mapping):
            raise InputError(f"{listing}: every item must hold t1, flair and label, got {json.dumps(entry)[:100]}.")
        raise_refusal(entry)
        scaled, label = _volumes(listing.parent, entry)
        name = str(entry.get("subject", Path(entry["t1"]).parent.name))
        for index in range(label.shape[2]):
            if (label[:, :, index] > 0).mean() >= _MINIMUM_BRAIN:
                # Array axes (left, anterior) -> picture rows from anterior down, columns from the patient's right.
                first, second, tissue = (np.rot90(v[:, :, index]) for v in (*scaled, label))
                items += _with_mixtures(f"{name}_{index:03d}", "brain", first, second, tissue)
    return items


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Pictures of ``mri`` and those of the same name in ``other``, of any type."""
    if not (folder / "mri").is_dir():
        return []
    pairs = []
    for pair in pair_folders(folder / "mri", folder / "other"):
        mri, other = pair["image"]
        if mri and file_kind(mri) == "picture":
            if CaseStatus.REFUSED in pair:
                raise InputError(pair[CaseStatus.REFUSED])
            pairs.append((Path(mri), Path(other)))
    return pairs


def pair_slices(dataset_dir: str, validation_cases: Mapping[str, Sequence[str]], section: str) -> list[dict]:
    """Pictures of the pairs below ``dataset_dir/MODALITY/train/{mri,other}``; folders of tests are never read.

    The classes come from :func:`shared_networks.data.tissue_classes.pair_tissue_classes`, fitted case by case. The case
    of a picture is its name without the last three digits; ``validation_cases`` of each modality are kept for the
    section "validation". Raises InputError for a picture without partner, an unreadable one, or a case with several
    sizes.
    """
    items: list[dict] = []
    for modality in _MODALITIES:
        folder = Path(dataset_dir) / modality / "train"
        cases: dict[str, list[tuple[Path, Path]]] = {}
        for pair in _pairs(folder):
            cases.setdefault(re.sub(r"\d{3}$", "", pair[0].stem), []).append(pair)
        held_out = {str(case) for case in validation_cases.get(modality, ())}
        for case, paths in cases.items():
            if (case in held_out) != (section == "validation"):
                continue
            mri, other = ([_luminance(path) for path in source] for source in zip(*paths, strict=True))
            if len({picture.shape for picture in mri + other}) != 1:
                raise InputError(f"{folder}: case {case} has several sizes, expected one; crop or remove it.")
            labels = pair_tissue_classes(np.stack(mri), np.stack(other), modality)
            for (path, _), first, second, label in zip(paths, mri, other, labels, strict=True):
                items += _with_mixtures(f"{modality}_{path.stem}", modality, first, second, label)
    return items


def labelled_slices(
    section: str,
    dataset_dir: str = "",
    brain_dir: str = "",
    validation_cases: Mapping[str, Sequence[str]] | None = None,
    every: int = 1,
) -> list[dict]:
    """All labelled pictures of one section, of :func:`pair_slices`, :func:`brain_slices` or both; '' for none.

    Every slice gives four pictures with one label map: each source, their maximum and their mean. With ``every`` each
    such slice only is taken (validation need not see all of them).

    Returns items ``{"case", "modality", "image": float32 1 x H x W in [0, 1], "label": uint8 1 x H x W}``. Raises
    InputError when neither folder is given, nothing is found, or a file is missing or unreadable.
    """
    if section not in ("training", "validation"):
        raise ValueError(f"section must be 'training' or 'validation', got {section!r}.")
    if not dataset_dir and not brain_dir:
        raise InputError("no data: set dataset_dir (folder with CT, PET, SPECT pairs), brain_dir (T1, FLAIR) or both.")
    items = brain_slices(brain_dir, section) if brain_dir else []
    if dataset_dir:
        items += pair_slices(dataset_dir, validation_cases or {}, section)
    # Four pictures a slice: whole slices are kept or left out.
    items = [item for index, item in enumerate(items) if (index // 4) % every == 0]
    if not items:
        place = " and ".join(folder for folder in (dataset_dir, brain_dir) if folder)
        raise InputError(f"{place}: no pictures for {section}, expected MODALITY/train/mri/*.png or datalist.json.")
    return items
