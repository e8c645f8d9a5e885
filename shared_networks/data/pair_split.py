"""Split training pairs into training and validation by patient."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared_networks.data.fusion_pairs import resolve_pairs
from shared_networks.errors import InputError

__all__ = ["split_pairs", "training_pairs"]


def split_pairs(
    pairs: Sequence[Mapping[str, Any]], validation_cases: Mapping[str, Sequence[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Split by (modality, patient): the same number in two modalities need not be the same person.

    Args:
        pairs: items with ``modality`` and ``patient``, as :func:`resolve_pairs` gives them.
        validation_cases: modality -> patients for validation, e.g. ``{"CT": ["33"], "SPECT": ["18", "29"]}``.

    Returns:
        Training and validation items, each in the given order.

    Raises:
        InputError: when a patient named for validation is not there, or when nothing is left to train with.
    """
    wanted = {(modality, str(patient)) for modality, patients in validation_cases.items() for patient in patients}
    parts: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    found = set()
    for pair in pairs:
        key = (pair.get("modality", ""), str(pair.get("patient", "")))
        found.add(key)
        parts[key in wanted].append(dict(pair))
    missing = sorted(wanted - found)
    if missing:
        names = ", ".join(f"{modality} {patient}" for modality, patient in missing)
        raise InputError(
            f"validation_cases names cases that are not in the training data: {names}; correct the key, or set it to "
            "{} to take the data's own validation section."
        )
    if not parts[0]:
        raise InputError("every training pair is a validation case: name fewer cases in validation_cases.")
    return parts


def training_pairs(
    part: str,
    datalist: str = "",
    dataset_dir: str = "",
    validation_cases: Mapping[str, Sequence[str]] | None = None,
    every: int = 1,
) -> list[dict[str, Any]]:
    """Pairs of one part of the training data.

    Without ``validation_cases`` the data's own sections are taken; with them the training section is split.

    Args:
        part: ``"training"`` or ``"validation"``.
        datalist: see :func:`resolve_pairs`.
        dataset_dir: see :func:`resolve_pairs`.
        validation_cases: see :func:`split_pairs`.
        every: take the first pair and every so manieth after it.

    Raises:
        InputError: as the two functions; also for the first pair that is known to be unusable, because a training must
            not go on with less data than it was given.
    """
    section = "training" if validation_cases else part
    pairs = resolve_pairs(datalist=datalist, dataset_dir=dataset_dir, section=section)
    for pair in pairs:
        if "refused" in pair:
            raise InputError(pair["refused"])
    if not validation_cases:
        return pairs[::every]
    return split_pairs(pairs, validation_cases)[part == "validation"][::every]
