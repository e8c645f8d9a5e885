"""What makes a validation worthless: images, or persons, that are in the training data too."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from shared_networks.errors import InputError, one_line
from shared_networks.io.content_hash import files_hash
from shared_networks.io.dicom_files import split_choice


def warn_of_shared_images(training: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]) -> None:
    """Log one warning where two parts hold the same images, by their paths or by their contents.

    It is no refusal: who tries a training out may well validate with what it was trained on. Items have ``image``, a
    list of paths, as :func:`shared_networks.data.resolve_cases` gives them.
    """
    content = cache(files_hash)
    held: dict[int, list[str]] = {}
    for size, path in _sized(validation):
        held.setdefault(size, []).append(path)
    # Only what has the same size is read.
    shared = [
        (path, other)
        for size, path in _sized(training)
        for other in held.get(size, ())
        if path == other or content((path,)) == content((other,))
    ]
    if shared:
        path, other = map(one_line, shared[0])
        more = f", and {len(shared) - 1} more" if len(shared) > 1 else ""
        logging.getLogger("training_cases").warning(
            f"{path} (training) and {other} (validation) are one image{more}: the validation says nothing about other "
            "images; keep each in one section"
        )


def refuse_shared_names(what: str, training: Iterable[str], validation: Iterable[str]) -> None:
    """Refuse two parts that share names: of patients, or of persons with several visits.

    Raises:
        InputError: naming all that both hold.
    """
    shared = sorted(set(training) & set(validation))
    if shared:
        raise InputError(f"{what} are in training and in validation: {', '.join(shared)}; keep each in one section.")


def _sized(cases: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """Size in bytes and path of every image, each once; one that is missing or empty is its reader's to refuse."""
    for name in dict.fromkeys(path for case in cases for path in case["image"] if path):
        try:
            path, _ = split_choice(name)
            files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [Path(path)]
            size = sum(file.stat().st_size for file in files)
        except OSError:
            continue
        if size:
            yield size, name
