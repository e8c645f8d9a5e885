"""One picture by which a person sees whether a fused and segmented volume can be right."""

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from shared_networks.visualize.side_by_side import upright_slice

_COLOURS = ("tab:blue", "tab:green", "gold", "tab:purple", "tab:cyan", "tab:pink", "tab:brown", "tab:olive")
_LESION_COLOUR = "red"

_PLANES = (("axial", 2, "R", "L"), ("coronal", 1, "R", "L"), ("sagittal", 0, "A", "P"))
"""Name, world axis along which it is cut, and what is on the left and on the right of the picture."""

_PANEL_INCHES, _TOP_INCHES, _BOTTOM_INCHES = 2.6, 0.6, 0.4


def class_colours(class_names: Mapping[int, str]) -> dict[int, str]:
    """Colour (``#rrggbb``) of every class but 0; the last class, the lesions, is red."""
    numbers = sorted(number for number in class_names if number)
    chosen = {number: to_hex(_COLOURS[index % len(_COLOURS)]) for index, number in enumerate(numbers[:-1])}
    return chosen | {number: to_hex(_LESION_COLOUR) for number in numbers[-1:]}


def tint_classes(grey: np.ndarray, label: np.ndarray, colours: Mapping[int, str], opacity: float = 0.5) -> np.ndarray:
    """Lay the classes' colours over a grey picture in [0, 1] of any shape -> RGB in [0, 1], with a last axis of 3.

    A class of the label without colour stays grey; an ``opacity`` of 0 shows the picture only.
    """
    rgb = np.repeat(np.asarray(grey, np.float64).clip(0.0, 1.0)[..., None], 3, axis=-1)
    for number, colour in colours.items():
        inside = label == number
        rgb[inside] = (1.0 - opacity) * rgb[inside] + opacity * np.array(to_rgb(colour))
    return rgb


def quality_control_figure(
    images: Mapping[str, np.ndarray],
    label: np.ndarray,
    affine: np.ndarray,
    class_names: Mapping[int, str],
    voxel: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Three planes through one voxel, each with every image, and the last image under the label map.

    Axial and coronal planes have the patient's right on the left, sagittal planes the front on the left; voxels keep
    their proportions. All images are shown from 0 (black) to 1 (white).

    Args:
        images: title -> X x Y x Z in [0, 1]; by custom T1, FLAIR and the fused volume.
        label: X x Y x Z, class numbers.
        affine: voxel to world (RAS) in mm, 4 x 4.
        class_names: class number -> name; 0 is the background and gets no colour.
        voxel: where the planes meet, e.g. in the largest lesion; None takes the centre of mass of what is not 0 in the
            first image.
        title: above the whole.

    Returns:
        Figure with 3 rows of ``len(images) + 1`` panels and a legend; ``figure.savefig(path)`` writes it.
    """
    affine = np.asarray(affine, dtype=np.float64)
    centre = _centre(next(iter(images.values()))) if voxel is None else [int(index) for index in voxel]
    colours = class_colours(class_names)
    volume = np.stack([*(np.asarray(image, np.float32) for image in images.values()), label])
    axes_of_world = nib.io_orientation(affine)[:, 0].astype(int).tolist()
    planes = []
    for name, world_axis, left, right in _PLANES:
        axis = axes_of_world.index(world_axis)
        planes.append((f"{name}, slice {centre[axis]}", upright_slice(volume, affine, axis, centre[axis]), left, right))

    # A plane of a thin slab stays visible, that of a tall volume does not take the whole page.
    heights = [float(np.clip(plane.shape[1] / plane.shape[2], 0.3, 1.6)) for _, plane, _, _ in planes]
    columns = [*images, "labels"]
    width, height = _PANEL_INCHES * len(columns), _PANEL_INCHES * sum(heights) + _TOP_INCHES + _BOTTOM_INCHES
    figure = Figure(figsize=(width, height), facecolor="black")
    grid = figure.subplots(len(planes), len(columns), squeeze=False, height_ratios=heights)
    # Fixed margins: finding them out ("constrained" layout) takes longer than drawing.
    top, bottom = 1.0 - _TOP_INCHES / height, _BOTTOM_INCHES / height
    figure.subplots_adjust(left=0.005, right=0.995, top=top, bottom=bottom, wspace=0.02, hspace=0.03)
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(column, color="white", fontsize=11)
    for row, (name, plane, left, right) in zip(grid, planes, strict=True):
        label_plane = plane[-1].round()
        for axes, column, image in zip(row, columns, [*plane[:-1], plane[-2]], strict=True):
            picture = tint_classes(image, label_plane, colours if column == "labels" else {})
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
            for place, letter, side in ((0.02, left, "left"), (0.98, right, "right")):
                _write(axes, place, 0.5, letter, ha=side, va="center")
        _write(row[0], 0.02, 0.03, name, ha="left", va="bottom")
    figure.legend(
        handles=[Patch(color=colour, label=class_names[number]) for number, colour in colours.items()],
        loc="lower center",
        ncols=max(1, len(colours)),
        frameon=False,
        labelcolor="white",
    )
    if title:
        figure.suptitle(title, color="white", fontsize=12, y=1.0 - 0.1 / height, va="top")
    return figure


def _write(axes: Axes, x: float, y: float, text: str, ha: str, va: str) -> None:
    """Small text over a picture, dark behind, at a place given in parts of the panel."""
    behind = {"facecolor": "black", "alpha": 0.5, "linewidth": 0, "pad": 1.5}
    axes.text(x, y, text, color="yellow", fontsize=7, ha=ha, va=va, transform=axes.transAxes, bbox=behind)


def _centre(image: np.ndarray) -> list[int]:
    """The voxel at the centre of mass of what is not 0; the middle of an empty volume."""
    inside = np.nonzero(image)
    if not inside[0].size:
        return [length // 2 for length in image.shape]
    return [int(np.rint(indices.mean())) for indices in inside]
