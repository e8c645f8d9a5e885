"""Tell the cases whose results are there already from those that are to be done."""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import monai
import torch

import shared_networks
from shared_networks.errors import CaseStatus, InputError
from shared_networks.io.content_hash import files_hash
from shared_networks.io.file_names import safe_name
from shared_networks.transforms.save_case import read_report
from shared_networks.utils.hashing import weights_entry


class DoneCases:
    """Recognise results by what they were made of: input files, weights, settings and version of the package.

    The savers write ``<case>_report.json`` as the last file of a case, with the fingerprint of all this and the names
    of the case's files. A case is done when its report holds its present fingerprint and the files are there.

    Args:
        output_dir: folder of the results; '' is never done.
        checkpoint: file of the weights.
        settings: what else decides the result, as text (:func:`shared_networks.runner.settings_hash`); with '' nothing
            is taken as done.
        skip: leave out cases that are done; false does every case again.
        files: from an item's ``image`` to every file that its result depends on
            (:meth:`shared_networks.transforms.LoadModalitiesd.depends_on`); None takes the image's own paths.
    """

    def __init__(
        self,
        output_dir: str = "",
        checkpoint: str = "",
        settings: str = "",
        skip: bool = True,
        files: Callable[[Any], Sequence[Path]] | None = None,
    ) -> None:
        self.output_dir = str(output_dir)
        self.checkpoint = str(checkpoint)
        self.settings = settings
        self.skip = skip
        self.files = files

    def facts(self) -> dict[str, Any]:
        """What all cases of a run share, for its report."""
        versions = {"shared_networks": shared_networks.__version__, "monai": monai.__version__}
        versions |= {"torch": torch.__version__, "python": platform.python_version()}
        return {
            "weights": weights_entry(self.checkpoint),
            "settings_sha256": self.settings,
            "versions": versions,
            "system": platform.system(),
        }

    def identify(self, item: Mapping[str, Any]) -> dict[str, str]:
        """``inputs_sha256`` and ``fingerprint`` of a case; ``skipped``, the reason, too when it is done.

        The item has ``case`` and ``image`` (a path, or a list of paths). {} when a file cannot be read: whoever loads
        it says what is wrong.
        """
        image = item["image"]
        paths = [image] if isinstance(image, str) else image
        try:
            inputs = files_hash(self.files(image) if self.files else [path for path in paths if path])
        except (OSError, InputError):
            return {}
        weights = weights_entry(self.checkpoint).get("sha256", "")
        parts = [item["case"], inputs, weights, self.settings, shared_networks.__version__]
        parts += [] if all(paths) else [[bool(path) for path in paths]]  # which modality the one file is
        found = {"inputs_sha256": inputs, "fingerprint": hashlib.sha256(json.dumps(parts).encode()).hexdigest()}
        reason = self._reason(item["case"], found["fingerprint"])
        return found | ({CaseStatus.SKIPPED: reason} if reason else {})

    def _reason(self, case: str, fingerprint: str) -> str:
        """Why a case is left out; '' when it is to be done."""
        if not (self.skip and self.output_dir and self.settings):
            return ""
        folder = Path(self.output_dir) / safe_name(case)
        report = read_report(self.output_dir, case)
        try:
            is_done = report["fingerprint"] == fingerprint and all(
                (folder / file).is_file() for file in report["files"]
            )
            remarks = str(report["warnings"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        if not is_done:
            return ""
        reason = "done before with the same images, weights and settings (--skip_done False does it again)"
        return reason + (f"; remarks then: {remarks}" if remarks else "")
