"""Regions of lesions in a head of boxes whose distances are known."""

import numpy as np
import pytest

from shared_networks.metrics.lesion_regions import lesions_by_region, ventricle_mask

SPACINGS = [(1.0, 1.0, 1.0), (1.0, 1.0, 6.0), (0.5, 1.0, 2.0)]


def head(spacing):
    """A box of 100 x 100 x 96 mm: 3 mm of CSF, 4 mm of cortex, white matter, a ventricle of 20 x 20 x 24 mm inside."""
    shape = [int(np.ceil(length / size)) for length, size in zip((104, 104, 108), spacing, strict=True)]
    # Millimetres of every voxel's near corner from the corner of the head.
    places = [np.arange(count) * size - margin for count, size, margin in zip(shape, spacing, (2, 2, 6), strict=True)]
    x, y, z = np.meshgrid(*places, indexing="ij")
    to_edge = [np.minimum(x, 100 - spacing[0] - x), np.minimum(y, 100 - spacing[1] - y)]
    depth = np.where((z >= 0) & (z < 96), np.minimum(*to_edge), -1)
    label = np.where(depth < 0, 0, np.where(depth < 3, 1, np.where(depth < 7, 2, 3)))
    middle = (abs(x - 50) < 10) & (abs(y - 50) < 10) & (abs(z - 48) < 12)
    label[middle] = 1
    return label, np.diag([*spacing, 1.0]), (x, y, z), middle


def paint(label, places, centre, radius=1.4):
    """A lesion around a place in mm."""
    x, y, z = places
    inside = (abs(x - centre[0]) < radius) & (abs(y - centre[1]) < radius) & (abs(z - centre[2]) < 3.5)
    label[inside & (label == 3)] = 4


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_the_ventricle_is_found_and_the_outer_csf_is_not(spacing):
    label, _, _, middle = head(spacing)
    assert np.array_equal(ventricle_mask(label == 1, label == 0, np.array(spacing)), middle)


@pytest.mark.parametrize("spacing", SPACINGS, ids=str)
def test_lesions_go_to_their_regions(spacing):
    label, affine, places, _ = head(spacing)
    paint(label, places, (61, 50, 48))  # touches the ventricle, which ends at 60
    paint(label, places, (8, 50, 48))  # touches the cortex, which ends at 7
    paint(label, places, (30, 50, 48))  # 20 mm from one, 23 mm from the other
    paint(label, places, (30, 30, 48))
    found = lesions_by_region(label, affine)
    assert {region: numbers["count"] for region, numbers in found.items()} == {
        "periventricular": 1,
        "juxtacortical": 1,
        "deep_white_matter": 2,
    }
    total = np.count_nonzero(label == 4) * np.prod(spacing) / 1000
    assert sum(numbers["volume_ml"] for numbers in found.values()) == pytest.approx(total, abs=1e-3)


@pytest.mark.parametrize(("gap", "region"), [(2, "periventricular"), (3, "deep_white_matter")])
def test_reach_of_the_ventricle(gap, region):
    """``gap`` voxels of white matter between them: the centres are gap + 1 mm apart."""
    label, affine, (x, y, z), middle = head((1.0, 1.0, 1.0))
    last = x[middle].max()
    label[(x == last + gap + 1) & (abs(y - 50) < 2) & (abs(z - 48) < 2)] = 4
    assert lesions_by_region(label, affine)[region]["count"] == 1


def test_a_slab_is_cut_off_and_has_no_surface_there():
    label, affine, places, middle = head((1.0, 1.0, 1.0))
    paint(label, places, (61, 50, 48))
    slab = slice(50, 58)
    assert np.array_equal(ventricle_mask(label[..., slab] == 1, label[..., slab] == 0, np.ones(3)), middle[..., slab])
    assert lesions_by_region(label[..., slab], affine)["periventricular"]["count"] == 1


def test_a_deep_nucleus_is_no_cortex():
    label, affine, (x, y, z), _ = head((1.0, 1.0, 1.0))
    label[(abs(x - 30) < 4) & (abs(y - 50) < 4) & (abs(z - 48) < 4)] = 2
    label[(abs(x - 25) < 2) & (abs(y - 50) < 2) & (abs(z - 48) < 2)] = 4  # touches it
    assert lesions_by_region(label, affine)["deep_white_matter"]["count"] == 1


def test_a_deep_fissure_is_no_ventricle():
    label, _, (x, y, _), middle = head((1.0, 1.0, 1.0))
    label[(abs(x - 50) < 1.5) & (y < 38) & (label > 0)] = 1
    assert np.array_equal(ventricle_mask(label == 1, label == 0, np.ones(3)), middle)


def test_without_lesions_ventricles_or_brain():
    label, affine, _, middle = head((1.0, 1.0, 1.0))
    none = {"count": 0, "volume_ml": 0.0}
    assert set(map(str, lesions_by_region(label, affine).values())) == {str(none)}
    label[middle] = 3
    label[50, 50, 50] = 4
    assert lesions_by_region(label, affine)["deep_white_matter"] == {"count": 1, "volume_ml": 0.001}
    alone = np.zeros((3, 3, 1))
    alone[1, 1] = 4
    assert lesions_by_region(alone, affine)["deep_white_matter"]["count"] == 1
