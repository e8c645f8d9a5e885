"""The two sources of one case: from what a user names to both, and from both to MONAI's meta data."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor

from shared_networks.errors import InputError
from shared_networks.io.file_names import file_kind
from shared_networks.io.geometry_checks import placed_like
from shared_networks.io.reading import Source, read_source, read_stacked_volume
from shared_networks.io.reading_volumes import volume_files
from shared_networks.io.regular_grid import on_regular_grid, regular_pair

Preparation = Callable[[Source, Source | None], tuple[Source, Source | None, Mapping[str, Any]]]
"""Takes both sources as they were read (None for a missing second one), returns them prepared, and what was done, for
the report."""


def read_pair(
    value: Any, names: Sequence[str], sibling: Callable[[Path], Path], read: Callable[[Path], Source] = read_source
) -> list[Source]:
    """Read both sources of a case with ``read``.

    ``value`` is a list of two paths, one NIfTI volume that holds both in its last axis, or the path of the first,
    beside which ``sibling`` finds the second. ``names`` are theirs in messages. Raises InputError, one line that says
    what is wrong with which file and what to do.
    """
    try:
        if isinstance(value, (str, Path)):
            stacked = read_stacked_volume(value) if Path(value).is_file() and file_kind(value) == "volume" else None
            if stacked is not None:
                return stacked
            value = [value, sibling(Path(value))]
        if not isinstance(value, Sequence) or len(value) != 2:
            raise InputError(f"{value!r}: expected two files, {' and '.join(names)}.")
        first, second = (Path(path) for path in value)
        if first.exists() and second.exists() and first.samefile(second):
            raise InputError(f"{first}: given as {' and as '.join(names)}; expected two different images.")
        return [read(first), read(second)]
    except OSError as error:  # a folder that may not be entered, a name too long for the system
        raise InputError(
            f"{error.filename or value}: cannot be read ({error.strerror}); check path and permission."
        ) from error


def files_of(value: Any, sibling: Callable[[Path], Path], prepare: Preparation | None) -> list[Path]:
    """Every file that a case's sources consist of, and those that its preparation reads; folders for series.

    ``value`` and ``sibling`` are as :func:`read_pair` takes them, '' for a source that is missing; ``prepare`` names
    further files by its method ``files_for``, if it has one. Raises InputError when the data file that a header names
    is missing.
    """
    if isinstance(value, (str, Path)):
        paths = [Path(value)]
        with suppress(InputError, OSError):  # a file that holds both sources has no sibling
            paths.append(sibling(paths[0]))
    else:
        paths = [Path(path) for path in value if path]
    if hasattr(prepare, "files_for"):
        paths += prepare.files_for(paths[0])
    return [file for path in paths for file in (volume_files(path) if path.is_file() else [path])]


def missing_of(value: Any) -> int | None:
    """Which of two sources is '' in what a user names; None when both are named, or in another form."""
    if not isinstance(value, (list, tuple)) or len(value) != 2 or all(value) or not any(value):
        return None
    return 0 if not value[0] else 1


def absent(source: Source) -> Source:
    """What stands for a missing source: zeros on the grid of the one that is there."""
    return replace(source, path=Path(), values=np.zeros_like(source.values), chroma=None, warnings=[])


def prepare_single(source: Source, prepare: Preparation | None, resample: bool = False) -> tuple[Source, str]:
    """:func:`prepare_pair` where the other source is missing.

    Raises:
        InputError: when the preparation registers the two, see :func:`prepare_pair`.
    """
    if getattr(prepare, "align", False):
        raise InputError(f"{source.path}: align needs both volumes; give the other one, or set align to False.")
    regular = on_regular_grid(source) if resample else source
    _check_output(source, regular, prepare)
    if prepare is None:
        return regular, ""
    source, _, record = prepare(regular, None)
    return source, json.dumps(record) if record else ""


def prepare_pair(
    pair: Sequence[Source], prepare: Preparation | None, resample: bool = False
) -> tuple[list[Source], str]:
    """Both sources after a preparation, and its record as JSON ('' when there is none), which any collation takes.

    ``resample`` puts sheared volumes onto a regular grid, as is done too when the preparation registers the two. Raises
    InputError, what the preparation refuses.
    """
    aligns = getattr(prepare, "align", False)
    first, second = pair[0], placed_like(*pair, assumed=resample or aligns)
    if resample or aligns:
        first, second = regular_pair(first, second, onto_first=not aligns)
        _check_output(pair[0], first, prepare)
    if prepare is None:
        return [first, second], ""
    first, second, record = prepare(first, second)
    return [first, second], json.dumps(record) if record else ""


def _check_output(before: Source, after: Source, prepare: Preparation | None) -> None:
    if before is not after and getattr(prepare, "dicom_output", False):
        raise InputError(
            f"{before.path}: its slices do not lie above each other at right angles (tilted gantry?), so that no DICOM "
            "output can be made of it; set dicom_output to False."
        )


def on_grid_of(source: Source, array: np.ndarray, **meta: Any) -> MetaTensor:
    """Give an array, channels x spatial, the grid and the file name of a source, and further entries of the meta data.

    A picture has the identity as its affine.
    """
    affine = np.eye(3) if source.affine is None else source.affine
    entries = {
        "filename_or_obj": str(source.path),
        "original_affine": affine.copy(),
        "spatial_shape": np.array(array.shape[1:]),
        # A channel axis named here makes SaveImaged fail on the one-channel result for some affines (MONAI 1.6.1).
        "original_channel_dim": "no_channel",
    }
    return MetaTensor(torch.from_numpy(array), affine=torch.from_numpy(affine.copy()), meta=entries | meta)
