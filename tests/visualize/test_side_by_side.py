"""The comparison picture: which slice, which way up, which colour."""

import nibabel as nib
import numpy as np
import pytest

from shared_networks.visualize import fullest_slice, side_by_side, upright_slice


def labelled_volume(codes):
    """A volume in the given orientation whose right, front and top ends are marked 1, 2 and 3."""
    canonical = np.zeros((5, 7, 9), np.float32)
    canonical[-1, 3, 4], canonical[2, -1, 4], canonical[2, 3, -1] = 1, 2, 3
    image = nib.Nifti1Image(canonical, np.diag([1, 1, 2, 1]))
    turned = image.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes))
    )
    return turned.get_fdata(dtype=np.float32), turned.affine


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "ASL", "LAS"])
def test_slices_are_upright_whatever_the_orientation(codes):
    volume, affine = labelled_volume(codes)
    world = nib.io_orientation(affine)[:, 0].astype(int).tolist()

    def cut(world_axis, mark):
        axis = world.index(world_axis)
        index = int(np.argwhere(volume == mark)[0][axis])
        return upright_slice(volume[None], affine, axis, index)[0]

    axial = cut(2, 1)
    assert axial.shape == (7, 5)
    assert axial[3, 0] == 1 and axial[0, 2] == 2  # right on the left, front at the top
    coronal = cut(1, 1)
    assert coronal.shape == (18, 5)  # 2 mm high voxels become two rows
    assert coronal[8:10, 0].tolist() == [1, 1] and coronal[0:2, 2].tolist() == [3, 3]
    sagittal = cut(0, 2)
    assert sagittal.shape == (18, 7)
    assert sagittal[8, 0] == 2 and sagittal[0, 3] == 3  # front on the left, top at the top


def test_fullest_slice():
    volume = np.zeros((4, 5, 6))
    volume[1, 2, 3] = volume[1, 4, 5] = 1
    assert fullest_slice(volume, 0) == 1
    volume[3, 2, 0] = 5
    assert [fullest_slice(volume, axis) for axis in range(3)] == [3, 2, 0]


def test_panels_of_a_picture():
    height, width = 200, 210
    mri, fused = np.full((1, height, width), 0.2), np.full((1, height, width), 0.6)
    other = np.zeros((3, height, width))
    other[0] = 1
    masks = np.zeros((2, height, width))
    masks[0, :100], masks[1, 50:150] = 1, 1
    page = np.asarray(side_by_side(mri, other, fused, masks))
    assert page.shape == (height + 24, 4 * width + 3 * 4, 3)
    panels = [page[24:, left : left + width] for left in range(0, page.shape[1], width + 4)]
    assert (panels[0] == 51).all() and (panels[2] == 153).all()
    assert (panels[1] == [255, 0, 0]).all()
    # half grey 153, half orange (255, 140, 0), blue (0, 160, 255) or the mean of both
    assert np.abs(panels[3][20, 0] - np.array([204, 146.5, 76.5])).max() <= 0.5
    assert np.abs(panels[3][120, 0] - np.array([76.5, 156.5, 204])).max() <= 0.5
    assert np.abs(panels[3][70, 0] - np.array([140.25, 151.5, 140.25])).max() <= 0.5
    assert (panels[3][180] == 153).all()
    assert (page[:24].reshape(-1, 3) == 255).any()  # labels


def test_small_pictures_are_enlarged_and_masks_may_be_missing():
    page = side_by_side(*(np.random.rand(1, 10, 50) for _ in range(3)))
    assert page.size == (3 * 200 + 2 * 4, 10 * 4 + 24)


def test_volume_shows_its_fullest_slice():
    mri = np.zeros((1, 200, 200, 3))
    mri[..., 1] = 0.4
    fused = np.zeros((3, 200, 200, 3))
    fused[1, ..., 1] = 1
    page = np.asarray(side_by_side(mri, mri, fused, affine=np.eye(4)))
    assert (page[24:, :200] == 102).all() and (page[24:, 408:] == [0, 255, 0]).all()
