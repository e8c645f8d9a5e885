"""What a pair of volumes from a scanner needs before it is scaled: bias field, registration, brain mask."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shared_networks.clinical.bias_field import correct_bias_field
from shared_networks.clinical.brain_mask import simple_brain_mask
from shared_networks.clinical.registration import RigidRegistration, register_rigid, resample_rigid
from shared_networks.clinical.trained_brain_mask import refuse_missing_deepbet, trained_brain_mask
from shared_networks.errors import InputError
from shared_networks.io.dicom_files import split_choice
from shared_networks.io.dicom_series import locate_series
from shared_networks.io.file_names import file_kind
from shared_networks.io.geometry_checks import check_affine, check_same_grid
from shared_networks.io.reading import Source, read_source
from shared_networks.io.regular_grid import background_value

_BLUNT, _DOUBTFUL = 1.5, 1.7
"""Sharpness of a registration below which it is refused, or a warning; that of brain pairs was 3 to 8, of six
heads with skull 1.8 to 2.8, that of volumes which show different things 1.0 to 1.3."""
_COVERED = 0.9  # share of the first volume's contents that the second one should reach

_OWN_MASKS = {
    "auto": lambda values, affine: _simple_mask(values, affine),
    "deepbet": lambda values, affine: (trained_brain_mask(values, affine), ""),
}
"""What ``brain_mask`` may name instead of a file: volume and affine -> mask and remark."""


@dataclass
class PreparePair:
    """Prepare both volumes of a case, in the steps that are switched on, and say what was done.

    The order is: bias field of each, registration of the second to the first and resampling onto its grid in one step,
    mask over both. With nothing switched on the volumes stay as they are.

    Attributes:
        align: register the second volume rigidly to the first, whatever their grids, see
            :func:`shared_networks.clinical.registration.register_rigid`.
        bias_correction: correct the bias field, see :func:`shared_networks.clinical.bias_field.correct_bias_field`.
        bias_of_second: also that of the second volume (no CT or PET has one).
        brain_mask: what is outside becomes 0: ``"auto"`` for :func:`shared_networks.clinical.brain_mask.
            simple_brain_mask` of the first volume, ``"deepbet"`` for :func:`shared_networks.clinical.trained_brain_mask
            .trained_brain_mask` of it; a file on the first volume's grid, not 0 inside; a name without folder is looked
            for beside the first volume before it is taken as such a file; '' for none.
        dicom_output: refuse what no DICOM output could be made of.
        largest_rotation: degrees above which a registration is refused.
        largest_translation: mm above which a registration is refused.
    """

    align: bool = False
    bias_correction: bool = False
    bias_of_second: bool = True
    brain_mask: str = ""
    dicom_output: bool = False
    largest_rotation: float = 45.0
    largest_translation: float = 100.0

    def __call__(self, first: Source, second: Source | None) -> tuple[Source, Source | None, dict[str, Any]]:
        """Return both volumes, the second on the first one's grid if it was registered, and a record for JSON of what
        was done.

        A second one that is missing (None) stays so; it must not be one that is to be registered. Raises InputError,
        one line that says what is wrong with which file and what to do.
        """
        record: dict[str, Any] = {}
        if self.dicom_output:
            if file_kind(first.path) != "series":
                raise InputError(
                    f"{first.path}: no DICOM series, so that no DICOM output can be made of it; give the folder of the "
                    "series, or set dicom_output to False."
                )
            try:
                locate_series(first.path)
            except InputError as error:
                raise InputError(f"{error} For files of several frames, set dicom_output to False.") from error
        if first.patient and second is not None and second.patient and first.patient != second.patient:
            remark = f"the two DICOM series name different patients, {first.patient} and {second.patient}"
            first = replace(first, warnings=[*first.warnings, remark])
        if not (self.align or self.bias_correction or self.brain_mask):
            return first, second, record
        given = [first] if second is None else [first, second]
        for source in given:
            if source.affine is None:
                raise InputError(f"{source.path}: a picture; align, bias_correction and brain_mask are for volumes.")
            check_affine(source)
            if source.values.min() == source.values.max():
                raise InputError(f"{source.path}: every value is {source.values.min():g}; give the right image.")
        if self.brain_mask == "deepbet":
            try:
                refuse_missing_deepbet()
            except InputError as error:
                raise InputError(f"{first.path}: {error}") from error
        if self.bias_correction:
            sources = given if self.bias_of_second else [first]
            corrected, record["bias_field"] = zip(*map(_corrected, sources), strict=True)
            first, second = [*corrected, second][:2]
        if self.align and second is not None:
            second, record["registration"] = self._aligned(first, second)
        if self.brain_mask:
            first, second, record["brain_mask"] = self._masked(first, second)
        return first, second, record

    def _aligned(self, first: Source, second: Source) -> tuple[Source, dict[str, Any]]:
        names = f"{first.path} and {second.path}"
        try:
            found = register_rigid(first.values, first.affine, second.values, second.affine)
        except InputError as error:
            raise InputError(f"{names}: {error}") from error
        remarks = self._judge(names, found)
        background = background_value(second.values)
        foreground = (second.values != background).astype(np.float32)
        planes = [(second.values, background), (foreground, 0.0)]
        planes += [] if second.chroma is None else [(plane - 128.0, 0.0) for plane in second.chroma]
        moved = [
            resample_rigid(plane, second.affine, first.values.shape, first.affine, found.matrix, outside)
            for plane, outside in planes
        ]
        (values, reached), (inside, _), *colours = moved
        # A stripped volume has sharp borders; interpolation would put a rim of faint voxels around them.
        values[inside < 0.5] = background
        contents = first.values > background_value(first.values)
        covered = float((reached & contents).sum() / max(1, contents.sum()))
        if covered < _COVERED:
            remarks.append(f"{second.path.name} covers {covered:.0%} of {first.path.name} only")
        aligned = replace(
            second,
            values=values,
            chroma=None if second.chroma is None else np.stack([plane + 128.0 for plane, _ in colours]),
            affine=first.affine,
            warnings=[*second.warnings, *remarks],
        )
        return aligned, _registration_record(found) | {"covered": round(covered, 4)}

    def _judge(self, names: str, found: RigidRegistration) -> list[str]:
        """Refuse a registration that looks failed; remarks on one that may be."""
        remedy = "look at the volumes, and register them by other means."
        distance = float(np.linalg.norm(found.translation_mm))
        if found.sharpness < _BLUNT:
            raise InputError(
                f"{names}: the registration failed, nothing fits (normalised mutual information "
                f"{found.similarity_after:.4f}, {found.similarity_before:.4f} at the start, "
                f"{found.similarity_displaced:.4f} 20 mm away); {remedy}"
            )
        if found.angle_degrees > self.largest_rotation or distance > self.largest_translation:
            raise InputError(
                f"{names}: the registration looks failed, it turned by {found.angle_degrees:.0f} degrees and moved by "
                f"{distance:.0f} mm (accepted: {self.largest_rotation:g} and {self.largest_translation:g}); {remedy}"
            )
        remarks = []
        if np.array_equal(found.matrix, np.eye(4)):
            remarks.append("the registration found nothing better than the position of the headers, which was kept")
        if found.sharpness < _DOUBTFUL:
            fact = "the registration is doubtful, the volumes hardly fit better than 20 mm away"
            remarks.append(f"{fact}; look at the picture")
        return remarks

    def _masked(self, first: Source, second: Source | None) -> tuple[Source, Source | None, dict[str, Any]]:
        if second is not None:
            check_same_grid(first, second)
        remarks: list[str] = []
        if self.brain_mask in _OWN_MASKS:
            name = self.brain_mask
            try:
                mask, remark = _OWN_MASKS[name](first.values, first.affine)
            except InputError as error:
                raise InputError(f"{first.path}: {error}") from error
            remarks = [remark] if remark else []
        else:
            path = self.mask_file(first.path)
            source, name = read_source(path), str(path)
            check_same_grid(first, source, "resample the mask onto the first image's grid.")
            mask = source.values != 0
        if not mask.any():
            raise InputError(f"{name}: the brain mask is empty; give another one.")
        volume = float(mask.sum()) * abs(float(np.linalg.det(first.affine[:3, :3]))) / 1000.0
        first = replace(first, values=first.values * mask, warnings=[*first.warnings, *remarks])
        second = None if second is None else replace(second, values=second.values * mask)
        return first, second, {"source": name, "volume_ml": round(volume, 2)}

    def files_for(self, first: str | Path) -> list[Path]:
        """Files beside the two images that the result of a case depends on.

        Args:
            first: the case's first image.
        """
        has_file = self.brain_mask and self.brain_mask not in _OWN_MASKS
        return [self.mask_file(split_choice(first)[0])] if has_file else []

    def mask_file(self, first: Path) -> Path:
        """The file that ``brain_mask`` names for a case whose first image is this one."""
        given = Path(self.brain_mask)
        beside = first.parent / given
        return beside if given.name == self.brain_mask and beside.exists() else given


def _simple_mask(values: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, str]:
    """The simple mask, with what is known of it."""
    mask, remark = simple_brain_mask(values, affine)
    known = "brain_mask auto keeps much that is no brain on heads with skull; brain_mask deepbet is better"
    return mask, f"{remark}; {known}" if remark else known


def _corrected(source: Source) -> tuple[Source, dict[str, Any]]:
    if source.chroma is not None or source.normalised:
        raise InputError(f"{source.path}: a colour image has no bias field; set bias_correction to False.")
    try:
        values, (weakest, strongest) = correct_bias_field(source.values, source.affine)
    except InputError as error:
        raise InputError(f"{source.path}: {error}; set bias_correction to False.") from error
    return replace(source, values=values), {"file": str(source.path), "gain": [round(weakest, 4), round(strongest, 4)]}


def _registration_record(found: RigidRegistration) -> dict[str, Any]:
    """For the report; see :class:`RigidRegistration`."""
    return {
        "metric": "Mattes mutual information, nats",
        "mutual_information": round(found.mutual_information, 5),
        "normalised_mutual_information": {
            "before": round(found.similarity_before, 5),
            "after": round(found.similarity_after, 5),
            "displaced_by_20_mm": round(found.similarity_displaced, 5),
        },
        "rotation_degrees": [round(float(angle), 3) for angle in found.rotation_degrees],
        "angle_degrees": round(found.angle_degrees, 3),
        "translation_mm": [round(float(step), 3) for step in found.translation_mm],
        "first_to_second": [[round(float(value), 6) for value in row] for row in found.matrix],
    }
