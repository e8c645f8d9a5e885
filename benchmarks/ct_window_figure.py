"""The picture of gesenet_bundle/docs/ct_window.md: a made-up head in HU, by percentiles and by two windows.

``python -m benchmarks.ct_window_figure gesenet_bundle/docs/ct_window.png``
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from shared_networks.io.source import Source
from shared_networks.transforms import normalise_volume
from shared_networks.transforms.hounsfield import CtWindow
from shared_networks.visualize.small_png import save_small

_SIZE = 256


def made_up_head() -> np.ndarray:
    """A slice in HU, 256 x 256: air, scalp, bone, grey and white matter, fluid, and a bleeding of 70 HU."""
    random = np.random.default_rng(0)
    row, column = np.mgrid[:_SIZE, :_SIZE] - _SIZE / 2
    radius = np.hypot(row / 1.15, column)
    ripple = 8 * np.sin(9 * np.arctan2(row, column))
    values = np.full((_SIZE, _SIZE), -1000.0)
    for edge, hu in ((100, 40), (94, 1100), (84, 8), (81, 38), (66 + ripple, 28)):
        values[radius < edge] = hu
    for side in (-1, 1):
        values[np.hypot(row / 2.4, column - 13 * side) < 9] = 5
    values[np.hypot(row - 38, column + 30) < 13] = 70
    return gaussian_filter(values, 0.7) + random.normal(0, 3, values.shape)


def draw() -> Figure:
    """Three panels, and the grey values of a line through the bleeding below each."""
    hu = made_up_head()
    panels = {}
    for title, window in (
        ("percentiles (--ct_window off)", "off"),
        ("0 to 80 HU (default)", "auto"),
        ("-450 to 1050 HU (--ct_window [300,1500])", [300, 1500]),
    ):
        source = Source(Path("ct.nii.gz"), hu[..., None].astype(np.float32), affine=np.eye(4))
        panels[title] = source.values if CtWindow(window)(source) else normalise_volume(source.values)
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots(2, 3, height_ratios=(3, 1))
    line = _SIZE // 2 + 38
    for (title, shown), above, below in zip(panels.items(), *axes, strict=True):
        above.imshow(shown[..., 0], cmap="gray", vmin=0, vmax=1)
        above.axhline(line, color="tab:orange", linewidth=0.7)
        above.set_title(title, fontsize=9)
        above.axis("off")
        below.plot(shown[line, :, 0], color="tab:orange", linewidth=0.8)
        below.set(ylim=(-0.05, 1.05), xlim=(0, _SIZE - 1), yticks=(0, 0.5, 1), xticks=())
    return figure


if __name__ == "__main__":
    save_small(draw(), sys.argv[1], dpi=90)
