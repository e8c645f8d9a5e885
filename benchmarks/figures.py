"""Pictures of measured numbers, as PNG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from shared_networks.visualize.small_png import save_small

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's palette, which readers with any colour vision can tell apart."""
MARKERS = "osD^vPX"

Lines = Mapping[str, Sequence[tuple[float, float]]]
"""Title of a line -> its points."""


def save(figure: Figure, path: Path) -> None:
    """Write ``<path>.png``; the folder is made when missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_small(figure, path.with_suffix(".png"))


def draw_grid(
    rows: Mapping[str, Sequence[Lines]],
    below: Sequence[str],
    above: Sequence[str] = (),
    size: tuple[float, float] = (10.0, 8.0),
) -> tuple[Figure, np.ndarray]:
    """Lines with markers in panels; those of a row share what is up, those of a column what is to the right.

    ``rows`` maps the label at the left to the lines of each panel, ``below`` labels the columns' axes, ``above`` are
    their titles, ``size`` is in inches. Returns the figure and its axes, rows x columns.
    """
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(below), sharex="col", sharey="row", squeeze=False)
    for axes_of_row, (label, panels) in zip(grid, rows.items(), strict=True):
        for axes, lines in zip(axes_of_row, panels, strict=True):
            for index, (title, points) in enumerate(lines.items()):
                style = {"color": COLOURS[index % len(COLOURS)], "marker": MARKERS[index % len(MARKERS)]}
                axes.plot(*zip(*points, strict=True), label=title, markersize=4, **style)
            axes.grid(alpha=0.3)
        axes_of_row[0].set_ylabel(label)
    for axes, label in zip(grid[-1], below, strict=True):
        axes.set_xlabel(label)
    for axes, title in zip(grid[0], above, strict=False):
        axes.set_title(title)
    return figure, grid
