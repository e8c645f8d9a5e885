"""Load the two sources of one case: MRI and CT, PET or SPECT; pictures or volumes."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor

from shared_networks.errors import InputError
from shared_networks.io.colour import NEUTRAL_CHROMA, fuse_chroma
from shared_networks.io.file_names import INPUT_KINDS, file_stem
from shared_networks.io.geometry_checks import check_affine, check_same_grid, resample_onto
from shared_networks.io.reading import Source
from shared_networks.io.source_pair import Preparation, on_grid_of
from shared_networks.transforms.hounsfield import CtWindow, looks_like_hu
from shared_networks.transforms.load_sources import LoadSourcesd, darken_to_mid_grey, normalise_volume, usual_slices
from shared_networks.transforms.modality_checks import OTHER_THAN_MRI, overlap_remarks, value_remarks
from shared_networks.utils.number_checks import check_number

_DARK, _LEAST_OVERLAP = 0.05, 0.3
"""What is darker is background; share of the smaller foreground inside the other, 0.40 to 1 in 489 training pairs."""
_BRIGHT = 0.53
"""Median of both grey pictures from which little is left to stand out: one of the two is below 0.46 in every pair of
MRI and CT of the Harvard atlas, none in slices of T1 and FLAIR."""
_NOT_MRI = ("PET", "SPECT", *OTHER_THAN_MRI)


class LoadFusionPaird(LoadSourcesd):
    """Load MRI and other source, check that they belong together, and put them in [0, 1].

    The value under the key may be

    1. a list of two paths: MRI, other source;
    2. the path of one NIfTI volume that holds both in its last axis (X x Y x Z x 2);
    3. the path of the MRI alone, whose name ends with ``mri_suffix``; the other source lies beside it under the same
       name with one of ``other_suffixes``.

    8-bit pictures are divided by 255, 16-bit ones by 65535, colour-coded volumes by 255; grey volumes are scaled by
    percentiles, see :func:`normalise_volume`; CT in Hounsfield units by a window, see
    :class:`shared_networks.transforms.hounsfield.CtWindow`. Of a coloured source the BT.601 luminance is the image, and
    the chroma of both sources is joined by Eq. 5 of GeSeNet.

    The result holds ``image`` (MetaTensor 2 x H x W with rows as in the picture, or 2 x X x Y x Z on the MRI's grid;
    float32 in [0, 1]; channel 0 the MRI), ``chroma`` (tensor 2 x spatial, 0..255, neutral 128) and ``warning`` (on
    one line, '' for none). The affine of the image is the MRI's; its meta also holds ``bit_depth`` (8 or 16 for
    pictures, 0 for volumes), ``filename_or_obj`` (MRI) and ``other_filename``.

    Args:
        keys: where the paths are and where the image goes.
        chroma_key: where the chroma goes.
        warning_key: where the warnings go.
        resample: move the other source onto the MRI's grid where the grids differ, and a sheared MRI onto a regular
            grid, instead of refusing the pair.
        mri_suffix: end of an MRI's name (before ``.nii.gz``, ``.png`` ...) in form 3.
        other_suffixes: ends that take its place in the other source's name.
        prepare: what is done to two volumes before they are scaled, and says what it did; see
            :class:`shared_networks.clinical.PreparePair`. None does nothing.
        ct_window: window of a CT in Hounsfield units: ``"auto"``, ``"dicom"``, ``"off"``, or centre and width.
        modality_key: where an item says what the other source is (``"CT"``, ``"PET"``), if it does.
        mid_grey: what a grey volume is darkened to, see :func:`darken_to_mid_grey`, and two grey pictures that are both
            bright (T1 and FLAIR); other pictures and a CT with a window keep their grey levels. None does nothing.

    Raises:
        InputError: one line that says what is wrong with which file and what to do. An item with the key ``refused``
            raises its value: the data list found the fault already.
    """

    def __init__(
        self,
        keys: KeysCollection = "image",
        chroma_key: str = "chroma",
        warning_key: str = "warning",
        resample: bool = False,
        mri_suffix: str = "_mri",
        other_suffixes: Sequence[str] = ("_ct", "_pet", "_spect", "_other"),
        prepare: Preparation | None = None,
        ct_window: str | Sequence[float] = "auto",
        modality_key: str = "modality",
        mid_grey: float | None = None,
    ) -> None:
        super().__init__(keys, warning_key, resample, prepare)
        if mid_grey is not None:
            check_number("mid_grey", mid_grey, least=1e-3, below=1)
        self.mid_grey = mid_grey
        self.ct_window = CtWindow(ct_window)
        self.modality_key = modality_key
        self.chroma_key = chroma_key
        self.mri_suffix = mri_suffix
        self.other_suffixes = tuple(other_suffixes)

    def _load(self, d: dict[Hashable, Any], key: Hashable) -> None:
        (mri, other), prepared = self._read_pair(d[key], ("the MRI", "the other source"))
        remarks = _check_contents(mri, other)
        for source in (mri, other):
            check_affine(source)
        if not other.normalised:
            self.ct_window(other, str(d.get(self.modality_key) or ""))
        for source in (mri, other):
            if not source.normalised:
                # One slice of a PET or SPECT volume may well be far brighter than the others.
                is_mri = source is mri or source.modality == "MR"
                usual = usual_slices(source, source.values, source.values != 0) if is_mri else None
                source.values, source.normalised = normalise_volume(source.values, usual=usual), True
                if self.mid_grey is not None:
                    source.values = darken_to_mid_grey(source.values, self.mid_grey)
        modality = str(d.get(self.modality_key) or other.modality).upper()
        if self.mid_grey is not None and modality not in _NOT_MRI and _both_bright(mri, other):
            for source in (mri, other):
                source.values = darken_to_mid_grey(source.values, self.mid_grey)
            remarks.append("both pictures are bright: darkened, so that lesions can stand out (mid_grey)")
        if self.resample:
            other = resample_onto(mri, other)
        check_same_grid(mri, other)
        d[key], d[self.chroma_key] = _to_tensors(mri, other, prepared)
        d[self.warning_key] = "; ".join([*mri.warnings, *other.warnings, *remarks, *_compare(mri, other)])

    def _sibling(self, mri: Path) -> Path:
        """The other source of form 3."""
        stem = file_stem(mri)
        ending = mri.name[len(stem) :]
        names = " or ".join(f"*{suffix}{ending}" for suffix in self.other_suffixes)
        if not stem.endswith(self.mri_suffix):
            raise InputError(
                f"{mri}: one file was given, but it is neither a volume with two channels last nor named "
                f"*{self.mri_suffix}{ending} beside {names}; give two files: {INPUT_KINDS}."
            )
        base = stem[: len(stem) - len(self.mri_suffix)]
        found = [path for suffix in self.other_suffixes if (path := mri.with_name(base + suffix + ending)).exists()]
        if len(found) != 1:
            fact = "no other source" if not found else f"{len(found)} other sources"
            raise InputError(f"{mri}: {fact} beside it; expected exactly one file named {names}.")
        return found[0]


def _check_contents(mri: Source, other: Source) -> list[str]:
    """Refuse an MRI without contents; warnings about what looks wrong but can be fused."""
    remarks = []
    if mri.values.min() == mri.values.max():
        raise InputError(f"{mri.path}: the MRI is constant (every value {mri.values.min():g}); give the right image.")
    if other.values.min() == other.values.max():
        remarks.append(f"{other.path.name} is constant (every value {other.values.min():g}): nothing of it to fuse")
    if mri.chroma is not None:
        swapped = "; are the two swapped?" if other.chroma is None else ""
        remarks.append(f"{mri.path.name}: the MRI is in colour{swapped}")
    if not mri.normalised and looks_like_hu(mri.values):
        remarks.append(f"{mri.path.name}: the MRI looks like CT in Hounsfield units; are the two swapped?")
    elif mri.modality in OTHER_THAN_MRI:
        remarks.append(f"{mri.path.name}: the MRI's header says {mri.modality}; are the two swapped?")
    return remarks + value_remarks(mri.values, mri.path.name)


def _both_bright(mri: Source, other: Source) -> bool:
    """Whether two grey pictures leave no room above their tissue."""
    return all(
        source.bit_depth > 0
        and source.chroma is None
        and source.values.any()
        and np.median(source.values[source.values > 0]) > _BRIGHT
        for source in (mri, other)
    )


def _compare(mri: Source, other: Source) -> list[str]:
    """Warnings about two sources in [0, 1] and on one grid."""
    names = [source.path.name for source in (mri, other)]
    if np.array_equal(mri.values, other.values):
        return [f"{' and '.join(names)} hold the same image"]
    return overlap_remarks(mri.values > _DARK, other.values > _DARK, names, _LEAST_OVERLAP)


def _to_tensors(mri: Source, other: Source, prepared: str) -> tuple[MetaTensor, torch.Tensor]:
    image = np.stack([mri.values, other.values]).astype(np.float32)
    neutral = torch.full(image.shape, float(NEUTRAL_CHROMA))
    chromas = [
        neutral if source.chroma is None else torch.from_numpy(source.chroma.astype(np.float32))
        for source in (mri, other)
    ]
    depth = max(mri.bit_depth, other.bit_depth)
    meta = {"other_filename": str(other.path), "bit_depth": depth, "preparation": prepared}
    return on_grid_of(mri, image, **meta), fuse_chroma(*chromas)
