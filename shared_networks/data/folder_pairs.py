"""Pair the images of two folders by name, and find such folders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared_networks.errors import InputError
from shared_networks.io.file_names import file_kind, file_stem

__all__ = ["dataset_folders", "pair_folders"]


def pair_folders(mri: Path, other: Path) -> list[dict[str, Any]]:
    """Pair images whose names agree up to the file type (``7.png`` with ``7.tif``).

    Args:
        mri: folder of pictures, volumes, or folders with one DICOM series each.
        other: the same for the other source.

    Returns:
        Items with ``image`` in order of name; with ``refused`` where a partner is missing (its path is '') or where
        one folder holds two images of that name.

    Raises:
        InputError: when a folder cannot be listed.
    """
    images, other_images = _images(mri), _images(other)
    pairs = []
    for stem in sorted(images.keys() | other_images.keys()):
        first, second = images.get(stem, []), other_images.get(stem, [])
        pair: dict[str, Any] = {"image": [str(found[0]) if found else "" for found in (first, second)]}
        for found, missing_in in ((first, other), (second, mri)):
            if len(found) > 1:
                pair["refused"] = f"{found[0]} and {found[1].name}: two images of one name; keep one of them."
            elif found and not (first and second):
                pair["refused"] = f"{found[0]}: no partner in {missing_in}; expected an image named {stem} there."
        pairs.append(pair)
    return pairs


def _images(folder: Path) -> dict[str, list[Path]]:
    """Name without file type -> images of the folder; hidden files and other files are left out."""
    found: dict[str, list[Path]] = {}
    try:
        for path in sorted(folder.iterdir()):
            if not path.name.startswith(".") and file_kind(path):
                found.setdefault(file_stem(path), []).append(path)
    except OSError as error:
        raise InputError(f"{folder}: the folder cannot be listed ({error.strerror}).") from error
    return found


def dataset_folders(root: Path, depth: int = 2) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Folders that hold both ``mri`` and ``other``, with the names that lead to them from the root.

    Args:
        root: where to begin.
        depth: levels to go down.
    """
    if (root / "mri").is_dir() and (root / "other").is_dir():
        yield root, ()
    elif depth:
        for folder in sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")):
            for found, names in dataset_folders(folder, depth - 1):
                yield found, (folder.name, *names)
