"""CT in Hounsfield units (HU): recognise it, clear its padding, and put it in [0, 1] by a window as a viewer does.

Without a window, air at -1000 and bone at 1000 and more leave the whole brain a few hundredths of the range.
"""

from collections.abc import Sequence

import numpy as np

from shared_networks.errors import InputError
from shared_networks.io.source import Source

HEAD_WINDOW = (40.0, 80.0)
"""Centre and width of the usual window of the brain: 0 to 80 HU."""

_AIR, _LOWEST = -1000.0, -1024.0
_HIGHEST_OF_AIR = -930.0
_NOT_CT = frozenset({"MR", "PT", "NM", "US", "PET", "SPECT", "MRI"})
_MOST_OF_SOFT = 0.6  # between CSF and blood, of what is within 150 HU of water
_MOST_SAMPLES = 2_000_000


def looks_like_hu(values: np.ndarray) -> bool:
    """Whether a volume, finite values of any shape, holds what only CT in Hounsfield units does.

    Either a narrow peak of air at -1000 beside soft tissue around 0; or, in a volume without air, soft tissue of the
    brain around 35 HU with little spread, and bone or contrast medium far above it.
    """
    sample = values.flat[:: max(1, values.size // _MOST_SAMPLES)]
    if sample.max() > 40_000:
        return False
    if sample.max() < 100:
        return _is_brain_in_air(sample)
    padding = sample < _LOWEST
    air = np.count_nonzero((sample >= _LOWEST) & (sample < _HIGHEST_OF_AIR))
    between = np.count_nonzero((sample >= _HIGHEST_OF_AIR) & (sample < -300))
    soft = np.count_nonzero((sample > -150) & (sample < 150))
    if air >= 0.02 * sample.size and soft >= 0.02 * sample.size and between <= air:
        return True
    # One value below everything else, as scanners put around their field of view.
    lowest = sample[padding]
    if lowest.size and lowest.min() != lowest.max():
        return False
    tissue = sample[~padding & (sample != 0)]
    if tissue.size < 0.02 * sample.size or tissue.min() < _LOWEST or tissue.max() < 300:
        return False
    first, median, third = np.percentile(tissue, [25, 50, 75])
    dim = np.count_nonzero((tissue > 0) & (tissue < 10)) / tissue.size
    return bool(15 <= median <= 60 and third - first <= 25 and dim <= 0.1)


def _is_brain_in_air(sample: np.ndarray) -> bool:
    """Whether values are a brain without skull and vessels, in HU, with air or padding around it."""
    air, tissue = sample[sample < _HIGHEST_OF_AIR], sample[sample >= _HIGHEST_OF_AIR]
    if min(air.size, tissue.size) < 0.02 * sample.size or air.min() < _LOWEST:
        return False
    lowest, first, median, third = np.percentile(tissue, [1, 25, 50, 75])
    return bool(lowest > -150 and 15 <= median <= 60 and 2 <= third - first <= 25)


def _looks_shifted(values: np.ndarray) -> bool:
    """Whether a volume is CT as some programs store it: Hounsfield units and 1024, so that nothing is below 0.

    The soft tissue must be as narrow as that of a head, which MRI of the same range is not.
    """
    if values.min() < 0 or not looks_like_hu(values - np.float32(-_LOWEST)):
        return False
    soft = values[(values > -_LOWEST - 150) & (values < -_LOWEST + 150)] + np.float32(_LOWEST)
    return bool(np.count_nonzero((soft > -5) & (soft < 80)) >= _MOST_OF_SOFT * soft.size)


def clear_ct_padding(source: Source) -> None:
    """Set what is below -1024 in a volume in HU, which no tissue is, to air, with a warning."""
    padding = source.values < _LOWEST
    if padding.any():
        source.values = np.where(padding, np.float32(_AIR), source.values)
        source.warnings.append(f"{source.path.name}: {int(padding.sum())} voxels of padding were set to -1000 HU")


class CtWindow:
    """Put a CT volume in [0, 1] by a window of Hounsfield units.

    Args:
        window: ``"auto"``: :data:`HEAD_WINDOW` for what is recognisably HU. ``"dicom"``: the window that the DICOM
            files suggest. Centre and width in HU, e.g. ``[40, 80]`` or ``"40,80"``: that window, for every volume that
            is not known to be MRI, PET or SPECT. ``"off"``: none.

    Raises:
        InputError: for anything else.
    """

    def __init__(self, window: str | Sequence[float] = "auto") -> None:
        self.bounds: tuple[float, float] | None = None
        if isinstance(window, str) and "," in window:  # as it is typed
            window = window.strip("[]() ").split(",")
        self.kind = window.lower() if isinstance(window, str) else "given"
        if self.kind == "given":
            try:
                centre, width = (float(value) for value in window)
            except (TypeError, ValueError):
                width = centre = float("nan")
            if not (np.isfinite(centre) and np.isfinite(width) and width > 0):
                raise InputError(f"ct_window is {window!r}; expected {_EXPECTED}.")
            self.bounds = (centre - width / 2, centre + width / 2)
        elif self.kind not in ("auto", "dicom", "off"):
            raise InputError(f"ct_window is {window!r}; expected {_EXPECTED}.")

    def __call__(self, source: Source, modality: str = "") -> bool:
        """Scale a grey volume in its own unit, in place, with a warning; False where no window applies.

        ``modality`` is what the user says that it is (``"CT"``, ``"PET"``, ...), '' where nothing is said. Raises
        InputError when the window of the DICOM files is asked for and there is none.
        """
        known = source.modality or modality.upper()
        if known in _NOT_CT:
            if self.kind != "off" and source.values.min() < _HIGHEST_OF_AIR and looks_like_hu(source.values):
                source.warnings.append(
                    f"{source.path.name}: looks like CT in Hounsfield units, but is said to be {known}; scaled by "
                    "percentiles, which leaves the brain hardly any contrast: correct what it is said to be"
                )
            return False
        name, is_hu = source.path.name, source.modality == "CT" or looks_like_hu(source.values)
        if not is_hu and self.kind != "off" and _looks_shifted(source.values):
            source.values, is_hu = source.values + np.float32(_LOWEST), True
            source.warnings.append(f"{name}: looks like Hounsfield units and 1024, which were taken off")
        if is_hu:
            clear_ct_padding(source)
        bounds, whose = self._bounds(source, known, is_hu)
        if bounds is None:
            if is_hu:
                source.warnings.append(
                    f"{name}: looks like CT in Hounsfield units and was scaled by percentiles, which leaves the brain "
                    "hardly any contrast; set ct_window to auto, or to a centre and a width"
                )
            elif known == "CT" and self.kind != "off":
                source.warnings.append(f"{name}: {_unlike_hu(source.values)}; scaled by percentiles")
            return False
        low, high = bounds
        if not is_hu:
            source.warnings.append(f"{name}: {_unlike_hu(source.values)}")
        source.values = ((source.values - np.float32(low)) / np.float32(high - low)).clip(0.0, 1.0).astype(np.float32)
        source.normalised = True
        source.warnings.append(f"{name}: shown with {whose} window of {low:g} to {high:g} HU")
        return True

    def _bounds(self, source: Source, known: str, is_hu: bool) -> tuple[tuple[float, float] | None, str]:
        """Lowest and highest value of the window, and whose it is."""
        if self.kind == "given":
            return self.bounds, "the given"
        if self.kind == "dicom":
            if source.window is None and (known == "CT" or is_hu):
                raise InputError(
                    f"{source.path}: no window is stored in it; set ct_window to auto, or to a centre and a width such "
                    "as [40, 80]."
                )
            return (source.window, "the file's own") if known == "CT" or is_hu else (None, "")
        centre, width = HEAD_WINDOW
        return (
            ((centre - width / 2, centre + width / 2), "the default") if self.kind == "auto" and is_hu else (None, "")
        )


def _unlike_hu(values: np.ndarray) -> str:
    return f"{values.min():.4g} to {values.max():.4g} does not look like Hounsfield units"


_EXPECTED = "auto, dicom, off, or centre and width in HU such as [40, 80]"
