"""Cases on which RMR-Fusion is evaluated."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared_networks.data.modality_cases import resolve_cases
from shared_networks.data.modality_split import check_labels, training_cases
from shared_networks.errors import InputError

__all__ = ["evaluation_cases"]


def evaluation_cases(
    datalist: str = "",
    dataset_dir: str = "",
    section: str = "validation",
    validation_subjects: Sequence[str] = (),
    modalities: Sequence[str] = ("t1", "flair"),
    allowed_labels: Collection[int] | Mapping | str | None = None,
) -> list[dict[str, Any]]:
    """Labelled cases of one section.

    Args:
        datalist: see :func:`shared_networks.data.resolve_cases`.
        dataset_dir: the same.
        section: section of the data; '' for the test section where there is one, and everything otherwise.
        validation_subjects: with the section ``validation``, the subjects that the training held out.
        modalities: names of the two modalities.
        allowed_labels: see :func:`shared_networks.data.modality_split.check_labels`.

    Returns:
        Items of :func:`shared_networks.data.resolve_cases`; none when neither ``datalist`` nor ``dataset_dir`` is
        given.

    Raises:
        InputError: for a subject that is not there, a section without cases, a case without label, and for the first
            case that is known to be unusable.
    """
    if section == "validation" and validation_subjects:
        return training_cases(
            "validation", datalist, dataset_dir, validation_subjects, False, modalities, allowed_labels
        )
    cases = resolve_cases("", "", datalist, dataset_dir, section, modalities)
    for case in cases:
        if "refused" in case:
            raise InputError(case["refused"])
        if "label" not in case:
            where = datalist or dataset_dir
            raise InputError(
                f"{where}: {case['subject']} has no label to compare with; add it, or name another section."
            )
    check_labels(cases, allowed_labels)
    return cases
