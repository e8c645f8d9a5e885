"""A second picture that is off by a few pixels moves back; whatever is not clearly off stays the same object."""

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from scipy import ndimage

from shared_networks.data import resolve_pairs
from shared_networks.transforms import AlignPicturesd, DisturbPaird, LoadFusionPaird
from shared_networks.transforms.align_pictures import find_shift, normalised_mutual_information


@pytest.fixture(scope="module")
def anatomy():
    """Blobs in an ellipse of 120 x 150 pixels, and the same with another contrast (dark is bright)."""
    rows, columns = np.mgrid[:120, :150]
    inside = ((rows - 60) / 50) ** 2 + ((columns - 75) / 62) ** 2 < 1
    blobs = ndimage.gaussian_filter(np.random.default_rng(0).standard_normal((120, 150)), 3)
    blobs = (blobs - blobs.min()) / (blobs.max() - blobs.min())
    return (blobs * inside).astype(np.float32), ((1 - blobs) ** 2 * inside).astype(np.float32)


def moved(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """By so many pixels to higher rows and columns; the pictures are black where it rolls over."""
    return np.roll(picture, (rows, columns), (0, 1))


def test_information_of_equal_independent_and_constant_pictures():
    rows, columns = np.mgrid[:8, :8] // 2
    assert normalised_mutual_information(rows, rows, 4) == pytest.approx(2.0)
    assert normalised_mutual_information(rows, 3 - rows, 4) == pytest.approx(2.0)
    assert normalised_mutual_information(rows, columns, 4) == pytest.approx(1.0)
    assert normalised_mutual_information(rows, 0 * rows, 4) == pytest.approx(1.0)
    assert normalised_mutual_information(0 * rows, 0 * rows, 4) == 1.0
    # Two of four values in one: H(A) = H(A, B) = log 4, H(B) = log 2.
    assert normalised_mutual_information(rows, rows // 2, 4) == pytest.approx(1.5)


@pytest.mark.parametrize("shift", [(1, 2), (2, 0), (-3, 4), (5, -6), (-6, -5)])
def test_a_known_shift_is_found_exactly_in_another_contrast(anatomy, shift):
    first, second = anatomy
    found, gain = find_shift(first, moved(second, *shift))
    assert found == (-shift[0], -shift[1])
    assert gain > 0.021


def test_noise_and_dark_16_bit_values_do_not_change_the_shift(anatomy):
    first, second = anatomy
    noise = np.random.default_rng(1).standard_normal((2, *first.shape)).astype(np.float32)
    assert find_shift(first + 0.1 * noise[0], moved(second, 4, -2) + 0.1 * noise[1])[0] == (-4, 2)
    assert find_shift(first * 4095 / 65535, moved(second, 4, -2) * 4095 / 65535)[0] == (-4, 2)


def test_nothing_is_found_without_a_reason(anatomy):
    first, second = anatomy
    nothing = (0, 0), 0.0
    assert find_shift(first, second) == nothing
    assert find_shift(first, moved(second, 1, -1)) == nothing  # no more than the search may err
    assert find_shift(first, moved(second, 0, 8)) == nothing  # beyond the largest shift
    assert find_shift(first, moved(second, 0, 8), largest=8)[0] == (0, -8)
    assert find_shift(first, np.full_like(first, 0.3)) == nothing
    assert find_shift(np.zeros_like(first), np.zeros_like(first)) == nothing
    assert find_shift(first[:47], moved(second, 3, 0)[:47]) == nothing  # below 8 * 6 rows
    noise = np.random.default_rng(2).random((2, 120, 150), dtype=np.float32)
    assert find_shift(*noise) == nothing


def test_the_picture_is_moved_with_its_border_and_a_warning(anatomy):
    first, second = anatomy
    second = second + 0.1
    image = MetaTensor(np.stack([first, moved(second, 3, -4)]), meta={"other_filename": "folder/ct.png"})
    d = AlignPicturesd()({"image": image, "chroma": torch.full((2, 120, 150), 128.0), "warning": "dark"})
    assert torch.equal(d["image"][0], image[0])
    assert np.array_equal(d["image"][1, :-3, 4:].numpy(), second[:-3, 4:])
    assert torch.equal(d["image"][1, -3:], d["image"][1, -4:-3].expand(3, -1))
    assert torch.equal(d["image"][1, :, :4], d["image"][1, :, 4:5].expand(-1, 4))
    assert d["image"].meta["other_filename"] == "folder/ct.png"
    assert d["warning"] == "dark; ct.png: moved by -3 rows and 4 columns onto the MRI (align_pictures)"
    assert np.array_equal(image[1].numpy(), moved(second, 3, -4)), "the pair that was given is as it was"
    plain = AlignPicturesd()({"image": image.as_tensor()})
    assert plain["warning"] == "the second picture: moved by -3 rows and 4 columns onto the MRI (align_pictures)"


def test_what_is_not_to_be_moved_stays_the_same_object(anatomy):
    first, second = anatomy
    pair = torch.from_numpy(np.stack([first, moved(second, 0, 4)]))
    gain = find_shift(first, moved(second, 0, 4))[1]
    grey, coloured = torch.full((2, 120, 150), 128.0), torch.full((2, 120, 150), 128.0)
    coloured[0, 60, 60] = 140.0
    volume = pair[..., None].expand(-1, -1, -1, 3)
    for item, options in (
        ({"image": pair, "chroma": coloured}, {}),
        ({"image": pair, "chroma": grey, "modality": "pet"}, {}),
        ({"image": pair, "chroma": grey}, {"least_gain": gain * 1.001}),
        ({"image": pair, "chroma": grey}, {"largest_shift": 3}),
        ({"image": volume}, {}),
        ({"image": torch.from_numpy(np.stack(anatomy)), "chroma": grey}, {}),
    ):
        d = AlignPicturesd(**options)(item)
        assert d["image"] is item["image"] and d["warning"] == ""
    assert AlignPicturesd(least_gain=gain * 0.999)({"image": pair, "chroma": grey})["image"] is not pair


def test_useless_limits_are_refused():
    for options in ({"largest_shift": 0}, {"least_gain": 0.0}):
        with pytest.raises(ValueError, match="must be positive"):
            AlignPicturesd(**options)


def test_real_ct_is_moved_back_within_a_pixel_and_registered_ct_is_left(data_dir):
    pairs = resolve_pairs(dataset_dir=str(data_dir / "harvard"), section="training")
    chosen = [pair for pair in pairs if pair["modality"] == "CT" and pair["patient"] in ("2", "33")][::4]
    load, align, disturb = LoadFusionPaird(keys="image"), AlignPicturesd(), DisturbPaird("image", shift=4)
    found = []
    for pair in chosen:
        clean = load(pair)
        assert align(clean)["image"] is clean["image"]
        off = disturb(clean)["image"]
        (rows, columns), gain = find_shift(*off.numpy())
        found.append(gain >= 0.021 and abs(rows) <= 1 and abs(columns + 4) <= 1)
    assert len(found) == 9 and sum(found) >= 8
