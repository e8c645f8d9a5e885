"""Split GeSeNet's training pairs into training and validation by patient, and weigh them by modality."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from shared_networks.data.case_list import read_datalist
from shared_networks.data.gesenet_cases import resolve_pairs
from shared_networks.data.shared_images import refuse_shared_names
from shared_networks.errors import InputError, raise_refusal
from shared_networks.io.file_names import file_kind


def split_pairs(
    pairs: Sequence[Mapping[str, Any]], validation_cases: Mapping[str, Sequence[str]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Training and validation items by (modality, patient): the same number in two modalities need not be the same
    person.

    ``pairs`` have ``modality`` and ``patient``, as :func:`resolve_pairs` gives them; ``validation_cases`` maps modality
    to patients, e.g. ``{"CT": ["33"], "SPECT": ["18", "29"]}``. Raises InputError when a patient named for validation
    is not there, or when nothing is left to train with.
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
    slices: int = 0,
) -> list[dict[str, Any]]:
    """Pairs of one part of the training data.

    Without ``validation_cases`` the data's own sections are taken; with them the training section is split, and where a
    data list has a validation section as well, that joins the validation pairs.

    Args:
        part: ``"training"`` or ``"validation"``.
        datalist: see :func:`resolve_pairs`.
        dataset_dir: see :func:`resolve_pairs`.
        validation_cases: see :func:`split_pairs`.
        every: take the first pair of pictures and every n-th after it; a pair of volumes is always taken.
        slices: make so many items of each pair of volumes, with a ``slice_share`` for
            :class:`shared_networks.transforms.TakeSliced`; 0 leaves them whole.

    Raises:
        InputError: as the two functions; for the first pair that is known to be unusable, because a training must
            not go on with less data than it was given; and for a patient who is in both parts.
    """
    pairs = _usable(datalist, dataset_dir, "training" if validation_cases else part)
    own_list = Path(datalist) if datalist else Path(dataset_dir) / "datalist.json"
    own: list[dict[str, Any]] = []
    if (validation_cases or part == "training") and own_list.is_file() and "validation" in read_datalist(own_list):
        own = _usable(datalist, dataset_dir, "validation")
    if validation_cases:
        training, validation = split_pairs(pairs, validation_cases)
        _refuse_shared_patients(training, own)
        pairs = [*validation, *own] if part == "validation" else training
    elif part == "training":
        _refuse_shared_patients(pairs, own)
    pictures = [pair for pair in pairs if file_kind(pair["image"][0]) == "picture"]
    volumes = [pair for pair in pairs if file_kind(pair["image"][0]) != "picture"]
    return pictures[::every] + [item for pair in volumes for item in _slices_of(pair, slices)]


def _usable(datalist: str, dataset_dir: str, section: str) -> list[dict[str, Any]]:
    pairs = resolve_pairs(datalist=datalist, dataset_dir=dataset_dir, section=section, output=False)
    for pair in pairs:
        raise_refusal(pair)
    return pairs


def _refuse_shared_patients(training: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]) -> None:
    """The same patient number may be another person in another modality, so that modality and patient count."""
    refuse_shared_names(
        "cases",
        *(
            [f"{pair['modality']} {pair['patient']}" for pair in part if pair["patient"]]
            for part in (training, validation)
        ),
    )


def _slices_of(pair: dict[str, Any], slices: int) -> list[dict[str, Any]]:
    shares = [(number + 1) / (slices + 1) for number in range(slices)]
    return [pair | {"case": f"{pair['case']}_{share:.2f}", "slice_share": share} for share in shares] or [pair]


def modality_weights(items: Sequence[dict]) -> list[float]:
    """One positive weight an item so that all modalities are drawn equally often; those of each modality add up to 1.

    Items without ``modality`` count as one modality of their own.
    """
    names = [str(item.get("modality", "")) for item in items]
    counts = Counter(names)
    return [1.0 / counts[name] for name in names]
