"""One of several DICOM series in a folder, named by a path: ``FOLDER#CHOICE``."""

from pathlib import Path

__all__ = ["split_choice"]


def split_choice(path: str | Path) -> tuple[Path, str]:
    """Folder and choice of ``FOLDER#CHOICE``.

    The choice is '' where there is none; a name that exists as it is holds none, whatever its characters.
    """
    path = Path(path)
    folder, mark, choice = str(path).rpartition("#")
    return (Path(folder), choice.strip()) if mark and not path.exists() and Path(folder).is_dir() else (path, "")
