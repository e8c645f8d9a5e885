"""Packages that only DICOM output needs."""

from shared_networks.errors import InputError
from shared_networks.utils.optional_packages import missing_packages

__all__ = ["check_dicom_packages"]


def check_dicom_packages() -> None:
    """Say what to install where a package is missing.

    Raises:
        InputError: with the command.
    """
    missing = missing_packages({name: name for name in ("pydicom", "highdicom")})
    if missing:
        raise InputError(f"dicom_output needs {' and '.join(missing)}: pip install {' '.join(missing)}.")
