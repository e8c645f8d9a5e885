"""Packages that only DICOM output needs."""

from importlib.util import find_spec

from shared_networks.errors import InputError

__all__ = ["check_dicom_packages"]


def check_dicom_packages() -> None:
    """Say what to install where a package is missing.

    Raises:
        InputError: with the command.
    """
    missing = [name for name in ("pydicom", "highdicom") if find_spec(name) is None]
    if missing:
        raise InputError(f"dicom_output needs {' and '.join(missing)}: pip install {' '.join(missing)}.")
