"""Results as derivatives in the Brain Imaging Data Structure (BIDS)."""

import hashlib
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from monai.config import KeysCollection

import shared_networks
from shared_networks.errors import CaseStatus
from shared_networks.io.file_names import file_stem
from shared_networks.io.source_geometry import like_source
from shared_networks.transforms.save_case import SaveSegmentedCased, plain_array
from shared_networks.utils.atomic import atomic_files, atomic_text
from shared_networks.utils.run_file import RunFile
from shared_networks.visualize.label_names import name_labels
from shared_networks.visualize.quality_control import class_colours

_VERSION = "1.10.0"
_STANDARD = {"background": 0, "GM": 1, "WM": 2, "CSF": 3, "WML": 7}
_NAMES = {"GM": "grey matter", "WM": "white matter", "WML": "white matter lesion", "CSF": "cerebrospinal fluid"}
_ABBREVIATIONS = {"background": "BG", "WML": "L"}
_SUFFIXES = {"t1": "T1w", "t2": "T2w", "pd": "PDw", "flair": "FLAIR"}
_KEPT = ("acq", "ce", "rec", "run", "part", "chunk")
"""Entities of the source, beside subject and session, that tell images of one session apart."""
_LINK = "raw"
_README = """# RMR-Fusion

T1 and T2-FLAIR volumes of the brain, fused and segmented automatically. For research only.

- `*_desc-fused_*.nii.gz`: the fused volume, in [0, 1]
- `*_dseg.nii.gz`: label map; its numbers are in `*_dseg.tsv`
- `*_label-*_mask.nii.gz`: the lesions; `*_label-*_probseg.nii.gz`: their probability, when it was asked for

Each has a side-car (`.json`) that names its sources.
"""


def standard_codes(class_names: Sequence[str]) -> dict[int, int]:
    """Class number -> code of BIDS's common labels (GM 1, WM 2, CSF 3, lesion 7); their own where one has none."""
    if not set(class_names) <= _STANDARD.keys():
        return {number: number for number in range(len(class_names))}
    return {number: _STANDARD[name] for number, name in enumerate(class_names)}


def bids_entities(case: str) -> dict[str, str]:
    """Entities of a case by its name: ``sub``, and ``ses``, ``acq``, ``run`` where there are such.

    A name that is not one of BIDS becomes a subject of its letters and digits, with eight digits of its hash, so that
    two names stay two.
    """
    parts = [part.split("-", 1) for part in case.split("_")]
    if all(len(part) == 2 and part[1].isalnum() and part[1].isascii() for part in parts) and parts[0][0] == "sub":
        return {key: value for key, value in parts if key in ("sub", "ses", *_KEPT)}
    plain = re.sub(r"[^A-Za-z0-9]", "", case)
    return {"sub": plain if plain == case else plain + hashlib.sha256(case.encode()).hexdigest()[:8]}


class BidsDataset(RunFile):
    """Writes what a data set of derivatives has beside its subjects: ``dataset_description.json``, ``README.md``.

    Args:
        folder: of the data set; made when missing.
        source: data set that the derivatives are made from; '' for none.
    """

    def __init__(self, folder: str, source: str = "") -> None:
        self.folder = Path(folder)
        self.source = str(source)

    def start(self, folder: Path, mark: str) -> None:
        """Write both files; ``.bidsignore`` too when ``folder``, of the other results, lies inside."""
        self.folder.mkdir(parents=True, exist_ok=True)
        description: dict[str, Any] = {
            "Name": "RMR-Fusion",
            "BIDSVersion": _VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [
                {
                    "Name": "RMR-Fusion",
                    "Version": shared_networks.__version__,
                    "Description": "Fusion and segmentation of T1 and T2-FLAIR (Zhang et al., AAAI 2024)",
                }
            ],
        }
        if self.source:
            place = Path(self.source).absolute().as_uri()
            description |= {"SourceDatasets": [{"URL": place}], "DatasetLinks": {_LINK: place}}
        files = {
            "dataset_description.json": json.dumps(description, indent=2) + "\n",
            "README.md": _README,
        }
        place, other = self.folder.resolve(), folder.resolve()
        if place in other.parents:
            # With a slash behind it the validator reports the folder.
            files[".bidsignore"] = f"{other.relative_to(place).parts[0]}\n"
        for name, text in files.items():
            atomic_text(self.folder / name, text)


class SaveBidsDerivativesd(SaveSegmentedCased):
    """Write ``<output_dir>/sub-X/[ses-Y/]anat/sub-X[_ses-Y]_space-orig_*`` of a case.

    - ``dseg.nii.gz`` with ``.json`` and ``.tsv``: label map with the codes of :func:`standard_codes`;
    - ``label-L_mask.nii.gz`` with ``.json``: the last class, the lesions;
    - ``label-L_probseg.nii.gz`` with ``.json``: their probability, where the item holds it;
    - ``desc-fused_FLAIR.nii.gz`` with ``.json``: the fused volume, under the suffix of the second modality.

    The files of a case appear together or not at all; it comes after the transform that writes the case's own files,
    and leaves out a case that was refused.

    Args:
        keys: label map, 1 x X x Y x Z, on the grid of the input.
        output_dir: folder of the data set; '' writes nothing.
        source: data set that the inputs lie in; '' when they lie in none.
        shared: of :class:`shared_networks.transforms.save_case.SaveSegmentedCased`.
    """

    def __init__(self, keys: KeysCollection = "pred", output_dir: str = "", source: str = "", **shared: Any) -> None:
        super().__init__(keys, output_dir, **shared)
        self.source = str(source)
        known = [_SUFFIXES[name.lower()] for name in reversed(self.modalities) if name.lower() in _SUFFIXES]
        self.suffix = known[0] if known else "T2w"

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the files; return ``data``, with ``refused`` set when that failed."""
        return dict(data) if data.get(CaseStatus.REFUSED) else super().__call__(data)

    def write(self, d: dict[Hashable, Any], key: Hashable, folder: Path, name: str) -> None:
        """Write the files of a case."""
        entities = bids_entities(name)
        place = Path(self.output_dir, *(f"{one}-{entities[one]}" for one in ("sub", "ses") if one in entities), "anat")
        stem = "_".join(f"{one}-{value}" for one, value in entities.items()) + "_space-orig"
        meta = d[self.image_key].meta
        label = plain_array(d[key])[0].round().astype(np.uint8)
        codes = standard_codes(list(self.class_names.values()))
        table = np.zeros(256, np.uint8)
        table[list(codes)] = list(codes.values())
        lesion = len(self.class_names) - 1
        short = _ABBREVIATIONS.get(self.class_names[lesion], re.sub(r"\W", "", self.class_names[lesion]))
        called = _NAMES.get(self.class_names[lesion], self.class_names[lesion])
        common = {"Sources": self._sources(meta), "SpatialReference": self._sources(meta)[0]}
        volumes = {
            f"desc-fused_{self.suffix}": (
                plain_array(d[self.fused_key])[0].clip(0.0, 1.0),
                {"Description": "T1 and T2-FLAIR fused into one volume in [0, 1]", "SkullStripped": True},
            ),
            f"label-{short}_mask": ((label == lesion).astype(np.uint8), {"Description": called, "Type": "Lesion"}),
            "dseg": (table[label], {"Description": "Tissues and lesions", "Manual": False}),
        }
        if self.probability_key in d:
            probability = plain_array(d[self.probability_key])[0].clip(0.0, 1.0)
            facts = {"Description": f"Probability of {called}", "Manual": False}
            volumes = {f"label-{short}_probseg": (probability, facts)} | volumes
        names = [f"{stem}_{ending}.{kind}" for ending in volumes for kind in ("nii.gz", "json")]
        affine = np.asarray(meta["original_affine"], np.float64)
        # The table stands before the label map's side-car, which is the last: it says that the others are there.
        names.insert(-1, f"{stem}_dseg.tsv")
        place.mkdir(parents=True, exist_ok=True)
        with atomic_files(place, names) as paths:
            for number, (voxels, facts) in enumerate(volumes.values()):
                last = number == len(volumes) - 1
                image = like_source(voxels, affine, str(meta["filename_or_obj"]), "RMR-Fusion")
                if last:
                    name_labels(image, {code: self.class_names[own] for own, code in codes.items()})
                nib.save(image, paths[2 * number])
                side_car = paths[-1] if last else paths[2 * number + 1]
                side_car.write_text(json.dumps(common | facts, indent=2) + "\n", encoding="utf-8")
            paths[-2].write_text(self._label_table(codes), encoding="utf-8")

    def _label_table(self, codes: Mapping[int, int]) -> str:
        colours = {0: "#000000"} | class_colours(self.class_names)
        lines = ["index\tname\tabbreviation\tcolor"]
        for number, name in self.class_names.items():
            words = (str(codes[number]), _NAMES.get(name, name), _ABBREVIATIONS.get(name, name), colours[number])
            lines.append("\t".join(words))
        return "\n".join(lines) + "\n"

    def _sources(self, meta: Mapping[str, Any]) -> list[str]:
        """BIDS URIs of the inputs where they lie in the source data set, names of the files elsewhere."""
        files = [Path(str(meta[key])) for key in ("filename_or_obj", "other_filename") if meta.get(key)]
        root = Path(self.source).absolute() if self.source else None
        return [
            f"bids:{_LINK}:{path.absolute().relative_to(root).as_posix()}"
            if root and path.absolute().is_relative_to(root)
            else file_stem(path)
            for path in files
        ]
