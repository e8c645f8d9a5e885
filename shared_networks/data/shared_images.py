"""What would make a validation worthless: images, or persons, that are in the training data too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from shared_networks.errors import InputError
from shared_networks.io.content_hash import files_hash
from shared_networks.io.dicom_files import split_choice

__all__ = ["refuse_shared_images", "refuse_shared_names"]


def refuse_shared_images(training: Sequence[Mapping[str, Any]], validation: Sequence[Mapping[str, Any]]) -> None:
    """Refuse two parts that hold one image, by its path or by its content.

    Args:
        training: items with ``image``, a list of paths, as :func:`shared_networks.data.resolve_cases` gives them.
        validation: the same.

    Raises:
        InputError: naming the first image that both hold, by both of its paths.
    """
    content = cache(files_hash)
    held: dict[int, list[str]] = {}
    for size, path in _sized(validation):
        held.setdefault(size, []).append(path)
    for size, path in _sized(training):
        # Only what has the same size is read.
        for other in held.get(size, ()):
            if path == other or content((path,)) == content((other,)):
                raise InputError(
                    f"{path} (training) and {other} (validation): one image is in both; keep it in one section."
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
