"""The picture for quality control: planes, colours, proportions, legend."""

import nibabel as nib
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from shared_networks.visualize.quality_control import class_colours, quality_control_figure, tint_classes

NAMES = {0: "background", 1: "CSF", 2: "GM", 3: "WM", 4: "WML"}
SHAPE = (6, 8, 4)


@pytest.fixture
def volumes():
    """A T1 that is the number of the voxel, a FLAIR and a fused volume that differ from it, a label map."""
    t1 = np.arange(1, 1 + np.prod(SHAPE)).reshape(SHAPE) / np.prod(SHAPE)
    label = np.zeros(SHAPE, int)
    label[1, 2, 3] = 4
    return {"T1": t1, "FLAIR": 1.0 - t1, "fused": 0.5 * t1}, label


def pictures(figure):
    """Three rows of four pictures, as they were handed to matplotlib."""
    axes = [axis for axis in figure.axes if axis.images]
    return [[np.asarray(axis.images[0].get_array()) for axis in axes[row : row + 4]] for row in (0, 4, 8)]


def test_planes_go_through_the_voxel_and_are_upright(volumes):
    images, label = volumes
    axial, coronal, sagittal = pictures(quality_control_figure(images, label, np.eye(4), NAMES, voxel=(1, 2, 3)))
    t1 = images["T1"]
    # rows run down (towards posterior or inferior), columns towards the patient's left or back
    assert np.allclose(axial[0][..., 0], t1[::-1, ::-1, 3].T)
    assert np.allclose(coronal[0][..., 0], t1[::-1, 2, ::-1].T)
    assert np.allclose(sagittal[0][..., 0], t1[1, ::-1, ::-1].T)
    for row in (axial, coronal, sagittal):
        assert np.allclose(row[1], 1.0 - row[0])
        assert np.allclose(row[2], 0.5 * row[0])


def test_every_orientation_gives_the_same_pictures(volumes):
    images, label = volumes
    straight = pictures(quality_control_figure(images, label, np.eye(4), NAMES, voxel=(1, 2, 3)))
    turn = nib.orientations.ornt_transform(nib.io_orientation(np.eye(4)), nib.orientations.axcodes2ornt("PSL"))
    turned = {name: nib.apply_orientation(image, turn) for name, image in images.items()}
    turned_label = nib.apply_orientation(label, turn)
    affine = np.eye(4) @ nib.orientations.inv_ornt_aff(turn, SHAPE)
    voxel = np.argwhere(turned_label == 4)[0]
    again = pictures(quality_control_figure(turned, turned_label, affine, NAMES, voxel=voxel))
    for row, expected in zip(again, straight, strict=True):
        for picture, other in zip(row, expected, strict=True):
            assert np.allclose(picture, other)


def test_label_is_laid_over_the_fused_volume_in_the_last_column(volumes):
    images, label = volumes
    rows = pictures(quality_control_figure(images, label, np.eye(4), NAMES, voxel=(1, 2, 3)))
    red = np.array(to_rgb("red"))
    for row in rows:
        fused, overlay = row[2], row[3]
        changed = np.abs(fused - overlay).max(axis=-1) > 0
        assert changed.sum() == 1
        assert np.allclose(overlay[changed], 0.5 * fused[changed] + 0.5 * red)


def test_voxels_keep_their_proportions(volumes):
    images, label = volumes
    rows = pictures(quality_control_figure(images, label, np.diag([1.0, 1, 5, 1]), NAMES))
    assert [row[0].shape[:2] for row in rows] == [(8, 6), (20, 6), (20, 8)]


def test_without_a_lesion_the_centre_of_the_brain_is_shown():
    t1 = np.zeros((20, 20, 20))
    t1[2:7, 10:15, 15:18] = 0.5
    figure = quality_control_figure({"T1": t1}, np.zeros(t1.shape), np.eye(4), NAMES)
    names = [text.get_text() for axis in figure.axes for text in axis.texts if "slice" in text.get_text()]
    assert names == ["axial, slice 16", "coronal, slice 12", "sagittal, slice 4"]


def test_legend_names_every_class_in_its_colour(volumes):
    images, label = volumes
    figure = quality_control_figure(images, label, np.eye(4), NAMES, title="case 7")
    legend = figure.legends[0]
    found = {
        text.get_text(): to_hex(patch.get_facecolor())
        for text, patch in zip(legend.get_texts(), legend.get_patches(), strict=True)
    }
    assert list(found) == ["CSF", "GM", "WM", "WML"]
    assert found["WML"] == to_hex("red") and len(set(found.values())) == 4
    assert figure.get_suptitle() == "case 7"
    assert [axis.get_title() for axis in figure.axes[:4]] == ["T1", "FLAIR", "fused", "labels"]


def test_any_number_of_classes_gets_colours():
    colours = class_colours({number: str(number) for number in range(12)})
    assert sorted(colours) == list(range(1, 12)) and colours[11] == to_hex("red")
    assert class_colours({0: "background"}) == {}


def test_tint_leaves_other_classes_alone():
    grey = np.array([[0.2, 0.4], [0.6, 1.5]])
    tinted = tint_classes(grey, np.array([[0, 1], [2, 0]]), {1: "#ff0000"}, opacity=0.25)
    assert np.allclose(tinted[0, 0], 0.2) and np.allclose(tinted[1, 0], 0.6)
    assert np.allclose(tinted[1, 1], 1.0)  # clipped
    assert np.allclose(tinted[0, 1], [0.55, 0.3, 0.3])


@pytest.mark.parametrize("shape", [(5, 7, 1), (1, 1, 2), (40, 3, 3)])
def test_thin_volumes_and_empty_ones_can_be_drawn(shape, tmp_path):
    empty = np.zeros(shape)
    figure = quality_control_figure({"T1": empty}, empty, np.eye(4), NAMES)
    figure.savefig(tmp_path / "qc.png")
    assert (tmp_path / "qc.png").stat().st_size > 1000
