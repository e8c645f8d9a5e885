"""What the savers of both bundles have in common."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from monai.config import KeysCollection
from monai.transforms import SaveImaged

from shared_networks.errors import InputError
from shared_networks.transforms.file_names import safe_name
from shared_networks.utils.atomic_folder import atomic_folder

__all__ = ["SaveCased"]


class SaveCased(SaveImaged):
    """Base of transforms that write the files of one case into ``<output_dir>/<case>/``.

    It is a ``SaveImaged`` so that MONAI Label, which writes results itself, leaves it out. When the files cannot be
    written (disk full, no permission), the case goes on without them, with the reason under ``refused``.

    Args:
        keys: what is written.
        output_dir: folder of the results; '' writes nothing.
        case_key: name of the case.
        dicom_output: whether the results are written as DICOM too.
    """

    def __init__(
        self, keys: KeysCollection, output_dir: str = "", case_key: str = "case", dicom_output: bool = False
    ) -> None:
        super().__init__(keys, output_dir=output_dir or ".", print_log=False)
        self.output_dir = str(output_dir)
        self.case_key = case_key
        self.dicom_output = dicom_output

    def dicom_folder(self, folder: Path, name: str) -> AbstractContextManager[Path | None]:
        """Gives the folder to write the DICOM results into, whole or not there at all; None when there are none."""
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
                self.write(d, key, folder, name)
            except InputError as error:
                d["refused"] = str(error)
            except OSError as error:
                d["refused"] = f"{folder}: cannot be written ({error.strerror or error}); check space and permissions."
        return d
