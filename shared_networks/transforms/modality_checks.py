"""What looks wrong with two modalities that can be fused: foreground, order, overlap, skull, ranges."""

from collections.abc import Mapping, Sequence

import numpy as np
from nibabel.affines import voxel_sizes
from scipy.ndimage import distance_transform_edt

from shared_networks.transforms.hounsfield import looks_like_hu
from shared_networks.transforms.mirror_check import mirror_remarks

BRAIN_RANGES: dict[str, list[float]] = {"spacing": [0.7, 8.0], "median": [0.3, 0.9], "brain_ml": [0.0, 2200.0]}
"""What the weights of RMR-Fusion are used to: voxel size in mm (training: 0.72 to 8), median of the scaled foreground
(training: 0.50 to 0.74), and foreground in ml (training: 1044 to 1723; a head with its skull has 3000 or more)."""

OTHER_THAN_MRI = ("CT", "PT", "NM", "US")
"""What a DICOM header says of images that are no MRI."""

_LEAST_OVERLAP = 0.9
"""Share of the smaller brain inside the other one; 0.995 and more in 13 registered subjects."""

_FEWEST_VALUES = 16  # a mask or a label map has fewer; 8-bit pictures of brains had 32 and more

_RIM, _DEPTH = (4.0, 12.0), (12.0, 40.0)  # mm below the surface: cortex and what lies under it, central white matter
_STEP = 3.0  # mm between the voxels that are looked at
_MINIMUM = 200  # voxels in each of the two depths
_SWAPPED = 0.98


def kind_remarks(values: np.ndarray, modality: str, file: str, name: str) -> list[str]:
    """A warning about a volume that is no MRI, by its values as the file has them, or by its header.

    ``modality`` is what the DICOM header states, '' for none; ``name`` what the file was given as.
    """
    if looks_like_hu(values):
        return [f"{file}: looks like CT in Hounsfield units; is it {name}?"]
    return [f"{file}: its header says {modality}; is it {name}?"] if modality in OTHER_THAN_MRI else []


def surface_remarks(second: float | None, bright: float | None, file: str) -> list[str]:
    """Warnings about a background of two values, or a bright one.

    See :func:`shared_networks.io.background.second_background` and :func:`shared_networks.io.background.high_edges`.
    """
    remarks = []
    if second is not None:
        fact = f"the surface of the brain has one value, {second:+.4g} to the background"
        remarks.append(f"{file}: {fact}; if that is background too, set both to 0")
    if bright is not None:
        fact = f"most edges of the volume have one value, {bright:.4g}, which is brighter than most others"
        remarks.append(f"{file}: {fact}; if that is background, set it to 0")
    return remarks


def look_swapped(t1: np.ndarray, flair: np.ndarray, brain: np.ndarray, spacing: np.ndarray) -> bool:
    """Whether T1 and FLAIR of a brain, X x Y x Z, background 0, look as if they were given in the wrong order.

    Central white matter is brighter than the cortex in T1, and not in FLAIR: the ratio of the medians at two depths
    below the surface, T1's over FLAIR's, was 1.03 to 1.29 in 13 subjects of three scanners and would be its inverse
    with the two swapped. ``spacing`` is in mm. False also when there is too little brain to say.
    """
    steps = [max(1, round(_STEP / size)) for size in spacing]
    thinned = tuple(slice(None, None, step) for step in steps)
    t1, flair, brain = t1[thinned], flair[thinned], brain[thinned]
    # Padding: beyond the border of the volume is no brain.
    depth = distance_transform_edt(np.pad(brain, 1), sampling=np.asarray(spacing) * steps)[1:-1, 1:-1, 1:-1]
    ratios = []
    for values in (t1, flair):
        medians = []
        for low, high in (_DEPTH, _RIM):
            inside = values[(depth > low) & (depth <= high) & (values > 0)]
            if inside.size < _MINIMUM:
                return False
            medians.append(float(np.median(inside)))
        ratios.append(medians[0] / medians[1])
    return ratios[0] / ratios[1] < _SWAPPED


def value_remarks(values: np.ndarray, name: str) -> list[str]:
    """A warning where a file's image may be a mask or a label map, for its few different values, or a negative."""
    count = np.unique(values.flat[:: max(1, values.size // 1_000_000)]).size
    if values.size >= _MINIMUM and 1 < count < _FEWEST_VALUES:
        return [f"{name}: only {count} different values; is it a mask or a label map?"]
    if values.min() < 0 >= values.max():
        return [f"{name}: no value is above 0; is it a negative, or were values moved?"]
    return []


def overlap_remarks(
    first: np.ndarray, second: np.ndarray, names: Sequence[str], least: float = _LEAST_OVERLAP
) -> list[str]:
    """A warning where the foregrounds of two images on one grid, boolean masks, hardly meet.

    ``least`` is the smallest share of the smaller foreground that is expected inside the other.
    """
    smaller = min(int(first.sum()), int(second.sum()))
    if not smaller:
        return []
    share = np.count_nonzero(first & second) / smaller
    if share < least:
        return [f"{names[0]} and {names[1]} overlap by {share:.0%} of the smaller one; are they registered?"]
    return []


def brain_remarks(
    images: np.ndarray, brain: np.ndarray, affine: np.ndarray, names: Sequence[str], ranges: Mapping[str, Sequence]
) -> list[str]:
    """Warnings about two modalities of a brain: with skull, or outside what the weights are used to.

    Images are 2 x X x Y x Z in [0, 1], background 0; ``brain`` is what is foreground in either. ``ranges`` has the
    lowest and highest value of ``spacing``, ``median`` and ``brain_ml``, see :data:`BRAIN_RANGES`; one that is missing
    is not looked at.
    """
    spacing = voxel_sizes(affine)
    remarks = []
    if brain.all():
        remarks.append("no voxel is 0: is the skull stripped? The network knows brains without skull only")
    low, high = ranges.get("brain_ml", (0.0, np.inf))
    volume = float(np.count_nonzero(brain) * spacing.prod() / 1000)
    if not low <= volume <= high:
        skull = ": is the skull stripped?" if volume > high else ""
        remarks.append(f"the foreground has {volume:.0f} ml, expected {low:g} to {high:g}{skull}")
    low, high = ranges.get("spacing", (0.0, np.inf))
    # Headers are rounded.
    if spacing.min() < low * 0.99 or spacing.max() > high * 1.01:
        sizes = " x ".join(f"{size:.3g}" for size in spacing)
        remarks.append(f"voxels of {sizes} mm, the network was trained with {low:g} to {high:g}: resample them")
    low, high = ranges.get("median", (0.0, 1.0))
    for image, name in zip(images, names, strict=True):
        occupied = image[brain]
        median = float(np.median(occupied[:: max(1, occupied.size // 1_000_000)])) if occupied.size else low
        if not low <= median <= high:
            remarks.append(
                f"{name}: the median of its range is {median:.2f}, far from training ({low:g} to {high:g}): outliers, "
                "or another kind of image?"
            )
    return remarks


def pair_remarks(
    images: np.ndarray,
    foreground: Sequence[np.ndarray],
    affine: np.ndarray,
    names: Sequence[str],
    modalities: Sequence[str],
    ranges: Mapping[str, Sequence[float]] | None,
) -> list[str]:
    """Warnings about two images, 2 x X x Y x Z in [0, 1], that can be fused.

    ``ranges`` are those of :func:`brain_remarks`; None for images that are no brains. ``names`` are of the files.
    """
    if np.array_equal(*images):
        return [f"{' and '.join(modalities)} hold the same image"]
    remarks = overlap_remarks(*foreground, names)
    if ranges is not None:
        brain = foreground[0] | foreground[1]
        remarks += brain_remarks(images, brain, affine, names, ranges)
        # With the skull, the depth below the surface says nothing.
        contents = brain & (images > 0).any(axis=0)  # holes are not deep
        if not brain.all() and look_swapped(*images, contents, voxel_sizes(affine)):
            remarks.append(f"{' and '.join(modalities)} look swapped; check {' and '.join(names)}")
        remarks += mirror_remarks(images, affine, names)
    return remarks
