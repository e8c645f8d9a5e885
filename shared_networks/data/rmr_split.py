"""Cases on which RMR-Fusion is trained, validated and evaluated."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared_networks.data.rmr_cases import MASKS, resolve_cases
from shared_networks.data.shared_images import refuse_shared_names, warn_of_shared_images
from shared_networks.errors import InputError, one_line, raise_refusal
from shared_networks.io.geometry_checks import check_same_grid
from shared_networks.io.reading import read_source
from shared_networks.transforms.label_maps import (
    LABEL_REMEDY,
    label_values,
    left_out_labels,
    refuse_other_labels,
    whole_labels,
)

__all__ = ["check_labels", "evaluation_cases", "training_cases"]


def training_cases(
    part: str,
    datalist: str = "",
    dataset_dir: str = "",
    validation_subjects: Sequence[str] = (),
    unlabelled: bool = False,
    modalities: Sequence[str] = ("t1", "flair"),
    allowed_labels: Collection[int] | Mapping | str | None = None,
) -> list[dict[str, Any]]:
    """Cases of one part of the training data.

    Without ``validation_subjects`` the data's own training and validation sections are taken. With them the two
    sections are put together and split anew, e.g. one subject for a leave-one-out. A test section is never read.

    Args:
        part: ``"training"`` or ``"validation"``.
        datalist: see :func:`shared_networks.data.resolve_cases`.
        dataset_dir: the same.
        validation_subjects: subjects for validation.
        unlabelled: take training cases without label too, those of the section ``unlabelled_training`` included
            (stage 1); otherwise every case must have a label (stage 2).
        modalities: names of the two modalities.
        allowed_labels: see :func:`check_labels`.

    Returns:
        Items of :func:`shared_networks.data.resolve_cases`; none when neither ``datalist`` nor ``dataset_dir`` is
        given.

    Raises:
        InputError: for a subject that is not there, a part without cases, a case without label, for the first case
            that is known to be unusable (a training must not go on with less data than it was given), and for a
            ``person`` in both parts. An image in both is logged as a warning.
    """
    if part not in ("training", "validation"):
        raise ValueError(f"part must be 'training' or 'validation', got {part!r}.")
    held_out = {str(subject) for subject in validation_subjects}
    labelled = ["training", "validation"] if held_out else [part]
    extra = ["unlabelled_training"] if unlabelled and part == "training" else []
    cases = resolve_cases("", "", datalist, dataset_dir, labelled + extra, modalities, output=False)
    if not cases:
        return []
    where = datalist or dataset_dir
    if held_out:
        missing = sorted(held_out - {case["subject"] for case in cases})
        if missing:
            raise InputError(f"{where}: no subject {', '.join(missing)}; correct validation_subjects.")
        others = [case for case in cases if (case["subject"] in held_out) != (part == "validation")]
        cases = [case for case in cases if (case["subject"] in held_out) == (part == "validation")]
    elif any(not case["section"] for case in cases):
        raise InputError(
            f"{where}: nothing says which cases are for training and which for validation; set validation_subjects."
        )
    if not cases:
        raise InputError(f"{where}: no {part} cases are left; name other validation_subjects.")
    for case in cases:
        raise_refusal(case)
        if not unlabelled and "label" not in case:
            raise InputError(f"{where}: {case['subject']} has no label; training and validation need one: add it.")
    if part == "training":
        _look_for_shared(cases, others if held_out else _validation_of(datalist, dataset_dir, modalities))
    check_labels(cases, allowed_labels)
    return cases


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
        allowed_labels: see :func:`check_labels`.

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
        raise_refusal(case)
        if "label" not in case:
            where = datalist or dataset_dir
            raise InputError(
                f"{where}: {case['subject']} has no label to compare with; add it, or name another section."
            )
    check_labels(cases, allowed_labels)
    return cases


def _validation_of(datalist: str, dataset_dir: str, modalities: Sequence[str]) -> list[dict[str, Any]]:
    """Cases of the section validation; none where there is no such section, which is its own reader's to refuse."""
    try:
        return resolve_cases("", "", datalist, dataset_dir, "validation", modalities, output=False)
    except InputError:
        return []


def _look_for_shared(training: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]) -> None:
    persons = [[case["person"] for case in part if case.get("person")] for part in (training, validation)]
    refuse_shared_names("persons", *persons)
    warn_of_shared_images(training, validation)


def check_labels(cases: Sequence[Mapping[str, Any]], allowed: Collection[int] | Mapping | str | None) -> None:
    """Read every label and mask, so that a value that is no class, or another grid than the image's, ends a run before
    its first step, not in the middle.

    An allowed value apart from the classes, which are 0, 1 and so on, means not labelled; where one occurs a warning
    is logged, because 255 may as well come from a mask that was saved as 0 and 255.

    Args:
        cases: items; of a ``label`` that is a list the first file is a map that masks are written over.
        allowed: see :func:`shared_networks.transforms.label_maps.refuse_other_labels`; None reads nothing.

    Raises:
        InputError: for the first file that cannot be read, lies on another grid or holds another value.
    """
    remarks: dict[tuple[str, ...], str] = {}  # a list may name a case several times, to draw it more often
    left_out: list[str] = []
    for case in cases if allowed is not None else ():
        label = case.get("label")
        if not label:
            continue
        maps = [label] if isinstance(label, str) else label
        masks = [case[key] for key in MASKS if case.get(key)]
        files = (next(filter(None, case["image"])), *maps, *masks)
        if files not in remarks:
            remarks[files] = _check_label(*files, allowed=allowed)
        left_out += [remarks[files]] if remarks[files] else []
    if left_out:
        more = f", and so in {len(left_out) - 1} more" if len(left_out) > 1 else ""
        logging.getLogger("check_labels").warning(
            f"{one_line(left_out[0])}{more}; set ignore_label to None to refuse them"
        )


def _check_label(image: str, label: str, *masks: str, allowed: Collection[int] | Mapping | str) -> str:
    """Check the label of one image, and the masks that are written over it; returns a remark on what is left out."""
    grid, source = read_source(image), read_source(label)
    check_same_grid(grid, source, LABEL_REMEDY)
    values = whole_labels(source.values)
    refuse_other_labels(values, allowed, label)
    for mask in masks:
        part = read_source(mask)
        check_same_grid(grid, part, LABEL_REMEDY)
        label_values(part.values, mask)
    return left_out_labels(values, allowed, label)
