"""What the savers of both bundles have in common."""

import json
import re
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import SaveImaged
from monai.utils import convert_to_numpy

import shared_networks
from shared_networks.errors import CaseStatus, InputError
from shared_networks.io.file_names import case_folder, safe_name
from shared_networks.utils.atomic import atomic_folder
from shared_networks.utils.hashing import weights_entry


class SaveCased(SaveImaged):
    """Base of transforms that write the files of one case into ``<output_dir>/<case>/``.

    It is a ``SaveImaged`` so that MONAI Label, which writes results itself, leaves it out. When the files cannot be
    written (disk full, no permission), the case goes on without them, with the reason under ``refused``.

    One of the files, the last, is ``<case>_report.json``: it says what the others were made of.

    Args:
        keys: what is written.
        output_dir: folder of the results; '' writes nothing.
        warning_key: warnings of the loader.
        case_key: name of the case.
        checkpoint: file of the weights, for the report; '' leaves it out.
        dicom_output: whether the results are written as DICOM too.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str = "",
        warning_key: str = "warning",
        case_key: str = "case",
        checkpoint: str = "",
        dicom_output: bool = False,
    ) -> None:
        super().__init__(keys, output_dir=output_dir or ".", print_log=False)
        self.output_dir = str(output_dir)
        self.warning_key = warning_key
        self.case_key = case_key
        self.checkpoint = str(checkpoint)
        self.dicom_output = dicom_output

    def dicom_folder(self, folder: Path, name: str) -> AbstractContextManager[Path | None]:
        """Gives the folder to write the DICOM results into, complete or not there at all; None when there are none."""
        return atomic_folder(folder / f"{name}_dicom") if self.dicom_output else nullcontext()

    @abstractmethod
    def write(self, d: dict[Hashable, Any], key: Hashable, folder: Path, name: str) -> None:
        """Write the files of the case ``name``, or set ``refused`` in ``d``; InputError and OSError do so too."""

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the files; return ``data``, with ``refused`` set when there are none."""
        d = dict(data)
        if not self.output_dir:
            return d
        for key in self.key_iterator(d):
            name = safe_name(d[self.case_key])
            folder = Path(self.output_dir) / name
            try:
                self.write(d, key, case_folder(self.output_dir, name), name)
            except InputError as error:
                d[CaseStatus.REFUSED] = str(error)
            except OSError as error:
                d[CaseStatus.REFUSED] = (
                    f"{folder}: cannot be written ({error.strerror or error}); check space and permissions."
                )
        return d

    def source_files(self, meta: Mapping[str, Any], names: Sequence[str]) -> dict[str, str]:
        """Names of the sources -> their files, from the image's meta data."""
        files = (str(meta["filename_or_obj"]), str(meta.get("other_filename", "")))
        return dict(zip(names, files, strict=True))

    def origin(self, d: Mapping[Hashable, Any], files: Sequence[str]) -> dict[str, Any]:
        """What every report says: warnings, weights, version, the case's files, and what they were made of.

        ``inputs_sha256`` and ``fingerprint`` of the item are those of :class:`shared_networks.data.DoneCases`.
        """
        return {
            "warnings": str(d.get(self.warning_key, "")),
            "model": weights_entry(self.checkpoint),
            "shared_networks": shared_networks.__version__,
            "files": list(files),
            **{key: str(d[key]) for key in ("inputs_sha256", "fingerprint") if key in d},
        }


class SaveSegmentedCased(SaveCased):
    """Base of the savers of RMR-Fusion, which all write of the same things.

    Args:
        keys: label map, 1 x X x Y x Z, on the grid of the input.
        output_dir: folder of the results; '' writes nothing.
        fused_key: fused volume, 1 x X x Y x Z in [0, 1].
        image_key: both modalities, 2 x X x Y x Z MetaTensor in [0, 1]; its meta names the files.
        probability_key: probability of lesions, 1 x X x Y x Z; may be missing.
        class_names: one for each class, the background first and the lesions last.
        modalities: names of the two modalities.
        others: of :class:`SaveCased`.
    """

    def __init__(
        self,
        keys: KeysCollection = "pred",
        output_dir: str = "",
        fused_key: str = "fused",
        image_key: str = "image",
        probability_key: str = "lesion_probability",
        class_names: Sequence[str] = ("background", "CSF", "GM", "WM", "WML"),
        modalities: Sequence[str] = ("t1", "flair"),
        **others: Any,
    ) -> None:
        super().__init__(keys, output_dir, **others)
        self.fused_key, self.image_key, self.probability_key = fused_key, image_key, probability_key
        self.class_names = dict(enumerate(class_names))
        self.modalities = tuple(modalities)


def readable_json(report: Mapping[str, Any]) -> str:
    """JSON with a line for each entry; lists of numbers, which can be long, on one line."""
    text = json.dumps(report, indent=2, ensure_ascii=False)
    return re.sub(r"\[\n([^\[\]{}\"]*)\n *\]", lambda match: f"[{' '.join(match[1].split())}]", text) + "\n"


def read_report(output_dir: str | Path, case: str) -> dict[str, Any]:
    """Content of ``<case>_report.json``; {} where there is none that can be read."""
    name = safe_name(case)
    try:
        report = json.loads((Path(output_dir) / name / f"{name}_report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def plain_array(tensor: torch.Tensor) -> np.ndarray:
    """Values as float32, without meta data."""
    return convert_to_numpy(tensor, dtype=np.float32)
