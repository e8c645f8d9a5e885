"""Load the two modalities of one case for RMR-Fusion: T1 and FLAIR, or T2 and ADC; with a label where there is one."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import KeysCollection
from monai.data import MetaTensor

from shared_networks.errors import InputError
from shared_networks.io.background import find_foreground, high_edges, refuse_lost_contents, second_background
from shared_networks.io.file_names import file_kind, file_stem, header_beside
from shared_networks.io.geometry_checks import check_affine, check_same_grid, resample_onto
from shared_networks.io.reading import Source, read_source
from shared_networks.io.source_pair import (
    Preparation,
    absent,
    missing_of,
    on_grid_of,
    prepare_single,
)
from shared_networks.io.zeros_inside import find_holes, holes_remark, with_cut_fluid
from shared_networks.transforms.label_maps import LABEL_REMEDY, label_values
from shared_networks.transforms.load_sources import LoadSourcesd, normalise_volume, usual_slices
from shared_networks.transforms.modality_checks import (
    BRAIN_RANGES,
    brain_remarks,
    kind_remarks,
    pair_remarks,
    surface_remarks,
    value_remarks,
)
from shared_networks.utils.masks import bounding_box
from shared_networks.utils.number_checks import check_numbers

_SHOWS_LESIONS = "flair"
"""The modality without which lesions are hardly seen; see docs/one_modality.md of the RMR-Fusion bundle."""


class LoadModalitiesd(LoadSourcesd):
    """Load both modalities of a case, check that they belong together, and put them in [0, 1].

    The value under the key may be

    1. a list of two paths (NIfTI volumes or folders of one DICOM series each);
    2. the path of one NIfTI volume that holds both in its last axis (X x Y x Z x 2);
    3. the path of the first modality alone, whose name ends with that modality's name (``p1_T1.nii.gz``, in any mix of
       capitals); the second lies beside it under the second's name (``p1_FLAIR.nii.gz``);
    4. with ``allow_missing``: a list of two paths of which one is ''. That modality's channel is 0, everything else
       comes from the other one, and ``missing_modality`` in the meta data names it.

    Each modality is scaled so that two percentiles of its foreground become 0 and 1 (see
    :func:`shared_networks.transforms.normalise_volume`), and clipped; its background, see
    :func:`shared_networks.io.background.find_foreground`, is 0. Nothing but the two images enters, so that a
    case is scaled in the same way in training and in inference.

    The result holds ``image`` (MetaTensor 2 x X x Y x Z, float32 in [0, 1], on the grid and with the affine of the
    first modality), ``brain`` (MetaTensor 1 x X x Y x Z, uint8: 1 where either modality has foreground, holes in it
    included), ``warning`` (warnings on one line, '' for none) and, when the item names one, ``label`` (MetaTensor 1 x X
    x Y x Z, uint8). With ``foreground_key``, the foreground of each modality alone is there too (MetaTensor 2 x X x Y x
    Z, uint8): what ``brain`` would be if the other modality were missing.

    A modality whose background is not one value (ringing, noise) has no sharp foreground; where the other one has, that
    one's is the brain.

    Args:
        keys: where the paths are and where the image goes.
        label_key: where the path of the label is, if there is one, and where the label goes; '' reads none. A list of
            two paths is a map and a mask that is written over it (Prostate158: zones and tumour).
        brain_key: where the mask goes.
        foreground_key: where the foreground of each modality goes; '' for nowhere.
        warning_key: where the warnings go.
        modalities: names of the two, for form 3 and for messages.
        lower: percentile of the foreground that becomes 0.
        upper: percentile of the foreground that becomes 1.
        resample: move the second modality onto the first one's grid where the grids differ, and a sheared first one
            onto a regular grid, instead of refusing.
        overlay_value: label of the mask that is written over a map.
        brain_checks: warn about what looks wrong for T1 and FLAIR of a brain: swapped, not skull-stripped, or outside
            ``expected_ranges``; and where values were cut off at 0 and no brain mask was asked for, fill the furrows of
            the brain, see :func:`shared_networks.io.zeros_inside.with_cut_fluid`.
        expected_ranges: what the weights are used to; None is
            :data:`shared_networks.transforms.modality_checks.BRAIN_RANGES`.
        allow_missing: take form 4 too.
        prepare: what is done to both volumes before they are scaled, and says what it did; see
            :class:`shared_networks.clinical.PreparePair`. None does nothing.
        auxiliary_key: where the path of a mask is that marks a part of class ``auxiliary_of`` (the normal
            hyperintensities within the white matter); '' reads none. Its voxels of that class become
            ``auxiliary_value``, and ``marked`` says whether the item named such a mask.
        auxiliary_of: class that the mask marks a part of.
        auxiliary_value: label of the marked part.

    Raises:
        InputError: one line that says what is wrong with which file and what to do. An item with the key ``refused``
            raises its value: the data list found the fault already. Also when it is made, for settings that are none.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        label_key: str = "label",
        brain_key: str = "brain",
        warning_key: str = "warning",
        modalities: Sequence[str] = ("t1", "flair"),
        lower: float = 0.5,
        upper: float = 99.5,
        resample: bool = False,
        overlay_value: int = 3,
        brain_checks: bool = True,
        expected_ranges: Mapping[str, Sequence[float]] | None = None,
        prepare: Preparation | None = None,
        allow_missing: bool = False,
        auxiliary_key: str = "",
        auxiliary_of: int | None = 3,
        auxiliary_value: int = 5,
        foreground_key: str = "",
    ) -> None:
        super().__init__(keys, warning_key, resample, prepare)
        check_numbers("percentiles", [lower, upper], 2, least=0, most=100)
        if not lower < upper:
            raise InputError(f"percentiles must rise, got {[lower, upper]}.")
        if len(modalities) != 2 or not all(isinstance(name, str) and name for name in modalities):
            raise InputError(f"modalities must be two names, got {modalities!r}.")
        for name, bounds in (expected_ranges or {}).items():
            check_numbers(f"expected_ranges {name}", bounds, 2)
        self.foreground_key = foreground_key
        self.label_key = label_key
        self.brain_key = brain_key
        self.modalities = tuple(modalities)
        self.lower, self.upper = lower, upper
        self.overlay_value = overlay_value
        self.brain_checks = brain_checks
        self._may_fill = brain_checks and not getattr(prepare, "brain_mask", "")  # a mask says where the brain ends
        self.expected_ranges = BRAIN_RANGES if expected_ranges is None else dict(expected_ranges)
        self.allow_missing = allow_missing
        self.auxiliary_key, self.auxiliary_of, self.auxiliary_value = auxiliary_key, auxiliary_of, auxiliary_value

    def _load(self, d: dict[Hashable, Any], key: Hashable) -> None:
        missing = missing_of(d[key]) if self.allow_missing else None
        load = self._load_pair if missing is None else self._load_single
        d[key], masks, brain, remarks, reference = load(d[key])
        d[self.brain_key] = on_grid_of(reference, brain[None].astype(np.uint8))
        if self.foreground_key:
            d[self.foreground_key] = on_grid_of(reference, np.stack(masks).astype(np.uint8))
        d[self.warning_key] = "; ".join(remarks)
        if self.label_key and d.get(self.label_key):
            d[self.label_key], changed = self._read_label(d[self.label_key], reference)
            d[self.warning_key] = "; ".join([*remarks, *changed])
            if self.auxiliary_key:
                d["marked"] = bool(d.get(self.auxiliary_key))
                if d["marked"]:
                    part = self._read_label(d[self.auxiliary_key], reference)[0] > 0
                    d[self.label_key][part & (d[self.label_key] == self.auxiliary_of)] = self.auxiliary_value

    def _load_pair(self, value: Any) -> tuple[MetaTensor, list[np.ndarray], np.ndarray, list[str], Source]:
        """Image, foreground of each modality, brain, warnings, and the source whose grid they have."""
        pair, prepared = self._read_pair(value, self.modalities, _read_volume)
        masks, flat, zeros = map(list, zip(*map(self._check_and_scale, pair, self.modalities), strict=True))
        refuse_lost_contents(pair, masks)
        first, second = pair
        if self.resample:
            second = resample_onto(first, second)
            if second is not pair[1]:
                # A stripped volume has sharp borders; interpolation would put a rim of faint voxels around them.
                contents = replace(pair[1], values=masks[1].astype(np.float32))
                masks[1] = resample_onto(first, contents).values >= 0.5
                second.values = second.values * masks[1]
        check_same_grid(first, second)
        if flat[0] != flat[1]:
            masks[flat.index(False)] &= masks[flat.index(True)]
        brain = masks[0] | masks[1]
        if self.brain_checks and all(flat) and second is pair[1]:
            names, images = " and ".join(source.path.name for source in pair), [first.values, second.values]
            holes = find_holes(brain, zeros, images, first)
            first.warnings += holes_remark(holes, first, names)
            brain = with_cut_fluid(brain, zeros, holes, first, names) if self._may_fill else brain
        images = np.stack([first.values * masks[0], second.values * masks[1]]).astype(np.float32)
        image = on_grid_of(first, images, other_filename=str(second.path), preparation=prepared)
        names, ranges = [source.path.name for source in (first, second)], self.expected_ranges
        found = pair_remarks(images, masks, first.affine, names, self.modalities, ranges if self.brain_checks else None)
        remarks = [*first.warnings, *second.warnings, *found]
        return image, masks, brain, remarks, first

    def _load_single(self, value: Sequence[Any]) -> tuple[MetaTensor, list[np.ndarray], np.ndarray, list[str], Source]:
        """:meth:`_load_pair` of form 4."""
        missing = missing_of(value)
        there = 1 - missing
        name, lost = self.modalities[there], self.modalities[missing]
        source, prepared = prepare_single(_read_volume(Path(value[there])), self.prepare, self.resample)
        brain, is_flat, zeros = self._check_and_scale(source, name)
        if self.brain_checks and is_flat:
            holes = find_holes(brain, [zeros], [source.values], source)
            source.warnings += holes_remark(holes, source, source.path.name)
        pair = [source, absent(source)] if there == 0 else [absent(source), source]
        images = np.stack([one.values for one in pair]).astype(np.float32)
        image = on_grid_of(source, images, other_filename="", preparation=prepared, missing_modality=lost)
        remarks = [f"{lost} is missing: fused volume and labels come from {name} alone", *source.warnings]
        if lost.lower() == _SHOWS_LESIONS:
            remarks[0] += "; lesions hardly show in it, so that few or none found says nothing"
        if self.brain_checks:
            shown = images[there : there + 1]
            remarks += brain_remarks(shown, brain, source.affine, [source.path.name], self.expected_ranges)
        nothing = np.zeros_like(brain)
        return image, [brain, nothing] if there == 0 else [nothing, brain], brain, remarks, source

    def _sibling(self, path: Path) -> Path:
        """The second modality of form 3."""
        name, other = (modality.lower() for modality in self.modalities)
        stem = file_stem(path)
        if not path.exists():
            raise InputError(f"{path}: file not found; check the path.")
        if not stem.lower().endswith(name):
            raise InputError(
                f"{path}: one file was given, but it is neither a volume with two channels last nor named *{name} "
                f"beside *{other}; give two files."
            )
        wanted = stem[: len(stem) - len(name)].lower() + other
        named = [beside for beside in sorted(path.parent.iterdir()) if file_stem(beside).lower() == wanted]
        found = [beside for beside in named if header_beside(beside) is None]  # an .img is part of its .hdr
        if len(found) != 1:
            raise InputError(f"{path}: {len(found)} files named {wanted} beside it; expected exactly one.")
        return found[0]

    def _check_and_scale(self, source: Source, name: str) -> tuple[np.ndarray, bool, np.ndarray]:
        """Refuse what cannot be a volume of this modality, and scale it to [0, 1].

        Returns:
            Its foreground, whether its background was one value, and where it was exactly that.
        """
        if source.chroma is not None or source.normalised:
            raise InputError(f"{source.path}: a colour image; expected the grey values of {name}: save it as such.")
        if source.values.min() == source.values.max():
            raise InputError(
                f"{source.path}: every value is {source.values.min():g}, no {name} is there; give the right image."
            )
        check_affine(source)
        source.warnings += value_remarks(source.values, source.path.name)
        if self.brain_checks:
            source.warnings += kind_remarks(source.values, source.modality, source.path.name, name)
        found = find_foreground(source.values)
        if found.remark:
            source.warnings.append(f"{source.path.name}: {found.remark}")
        if self.brain_checks:
            source.warnings += surface_remarks(second_background(found), high_edges(source.values), source.path.name)
        # All around the contents is 0; a voxel of it stays in the box, where the lowest value may be asked for.
        box = bounding_box(found.mask, 1)
        source.values = np.zeros(found.mask.shape, np.float32)
        usual = usual_slices(source, found.values, found.mask)
        shown = normalise_volume(found.values[box], self.lower, self.upper, None if usual is None else usual[box])
        source.values[box] = shown * found.mask[box]
        zeros, is_flat = found.values == 0, not found.remark
        mask = found.mask
        if is_flat and self._may_fill:
            holes = find_holes(mask, [zeros], [source.values], source)
            mask = with_cut_fluid(mask, [zeros], holes, source, source.path.name)
        return mask, is_flat, zeros

    def _read_label(self, value: Any, reference: Source) -> tuple[MetaTensor, list[str]]:
        """1 x X x Y x Z uint8 on the reference's grid, and a warning for each file in which NaN became 0."""
        paths = [value] if isinstance(value, (str, Path)) else list(value)
        label, changed = np.zeros(reference.values.shape, np.uint8), []
        for number, path in enumerate(paths):
            source = _read_volume(Path(path))
            check_affine(source)
            check_same_grid(reference, source, LABEL_REMEDY)
            if source.cleared is not None:
                changed.append(source.warnings[-1])
            values = label_values(source)
            if number == 0:
                label = values
            else:
                label[values > 0] = self.overlay_value
        return on_grid_of(reference, label[None], label_filename=str(paths[0])), changed


def _read_volume(path: Path) -> Source:
    if file_kind(path) == "picture":
        raise InputError(f"{path}: a 2D picture; expected a 3D volume (.nii, .nii.gz or a folder of one DICOM series).")
    source = read_source(path)
    if source.is_slice or source.affine is None:
        raise InputError(f"{path}: a 2D image; expected a 3D volume: give the whole volume.")
    return source
