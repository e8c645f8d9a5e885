"""Structure loss: the third degradation of RMR-Fusion, Fourier coefficients broken inside a window."""

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter


def lose_structure(
    volume: np.ndarray,
    corner: Sequence[int],
    size: Sequence[int],
    random: np.random.RandomState,
    swaps: Sequence[int] = (1, 5),
    amplitude_sigma: float = 0.5,
) -> np.ndarray:
    """Break the Fourier transform of every X-Y slice of one window.

    In each slice the amplitude, divided by its maximum, is blurred and scaled back, and the phases change places:
    a random number of times a random frequency swaps its phase with one of its four neighbours. Neighbours and blur go
    around the borders, because the discrete spectrum is periodic. The magnitude of the inverse transform takes the
    window's place (Zhang et al., AAAI 2024, "random window with Fourier broken").

    Args:
        volume: X x Y x Z.
        corner: lowest index of the window on each axis.
        size: sides of the window.
        random: source of randomness.
        swaps: least and greatest number of swaps in a slice; (0, 0) leaves the phases alone.
        amplitude_sigma: standard deviation of the amplitude's blur, in frequencies; 0 for none.

    Returns:
        A changed copy. With neither blur nor swaps it is the magnitude of ``volume`` inside the window.
    """
    window = tuple(slice(start, start + length) for start, length in zip(corner, size, strict=True))
    changed = volume.copy()
    spectrum = np.fft.fft2(volume[window], axes=(0, 1))
    amplitude, phase = np.abs(spectrum), np.angle(spectrum)
    highest = np.maximum(amplitude.max(axis=(0, 1), keepdims=True), np.finfo(amplitude.dtype).tiny)
    if amplitude_sigma:
        blurred = gaussian_filter(amplitude / highest, (amplitude_sigma, amplitude_sigma, 0), mode="wrap")
        amplitude = blurred * highest
    for index in range(phase.shape[2]):
        _swap_neighbours(phase[:, :, index], random.randint(swaps[0], swaps[1] + 1), random)
    changed[window] = np.abs(np.fft.ifft2(amplitude * np.exp(1j * phase), axes=(0, 1)))
    return changed


def _swap_neighbours(cells: np.ndarray, times: int, random: np.random.RandomState) -> None:
    """Let random cells of a plane change places with a random neighbour, in place."""
    axes = [axis for axis in (0, 1) if cells.shape[axis] > 1]
    for _ in range(times if axes else 0):
        cell = [random.randint(length) for length in cells.shape]
        neighbour = list(cell)
        axis = axes[random.randint(len(axes))]
        neighbour[axis] = (cell[axis] + 2 * random.randint(2) - 1) % cells.shape[axis]
        first, second = tuple(cell), tuple(neighbour)
        cells[first], cells[second] = cells[second], cells[first]
