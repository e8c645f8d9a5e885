"""Pictures of every kind become H x W with rows as in the picture, in [0, 1]."""

import itk
import numpy as np
import pytest
from PIL import Image

from shared_networks.errors import InputError
from shared_networks.transforms.reading import read_source


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_8_bit_grey_rows_are_rows(write_picture, noise, suffix):
    pixels = noise((5, 7))
    source = read_source(write_picture(f"a.{suffix}", pixels))
    assert source.bit_depth == 8 and source.chroma is None and source.affine is None
    assert np.array_equal(source.values, pixels.astype(np.float32) / 255)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey(write_picture, suffix):
    pixels = np.arange(35, dtype=np.uint16).reshape(5, 7) * 1900
    source = read_source(write_picture(f"a.{suffix}", pixels))
    assert source.bit_depth == 16 and source.warnings == []
    assert np.allclose(source.values, pixels / 65535, atol=1e-7)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_keeps_its_low_bits(tmp_path, suffix, channels):
    pixels = np.random.default_rng(0).integers(0, 65536, (6, 5, channels), dtype=np.uint16)
    pixels[..., 3:] = 65535
    path = tmp_path / f"a.{suffix}"
    itk.imwrite(itk.image_from_array(pixels, is_vector=True), str(path))
    source = read_source(path)
    expected = pixels[..., :3].astype(np.float64) @ [0.299, 0.587, 0.114] / 65535
    assert source.bit_depth == 16 and source.chroma.shape == (2, 6, 5)
    assert np.abs(source.values - expected).max() < 1e-6


def test_12_bit_values_in_16_bit_are_remarked(write_picture):
    source = read_source(write_picture("a.png", np.full((4, 4), 4095, dtype=np.uint16)))
    assert "less than 1/8 of its range" in source.warnings[0]


def test_grey_stored_as_rgb_is_grey(write_picture, noise):
    pixels = noise((5, 7))
    source = read_source(write_picture("a.png", np.repeat(pixels[..., None], 3, axis=-1)))
    assert source.chroma is None
    assert np.array_equal(source.values, pixels.astype(np.float32) / 255)


def test_palette_is_resolved(tmp_path, noise):
    pixels = noise((6, 8, 3))
    picture = Image.fromarray(pixels).quantize(16)
    picture.save(tmp_path / "a.png")
    expected = np.asarray(picture.convert("RGB")).astype(np.float64)
    source = read_source(tmp_path / "a.png")
    assert np.allclose(source.values, expected @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    blue_difference = (expected[..., 2] - expected @ [0.299, 0.587, 0.114]) / 1.772
    assert np.allclose(source.chroma[0], 128 + blue_difference, atol=1e-3)


def test_opaque_alpha_is_dropped_and_transparency_is_black(write_picture, noise):
    pixels = noise((5, 7, 4))
    pixels[..., 3] = 255
    opaque = read_source(write_picture("a.png", pixels))
    assert opaque.warnings == []
    assert np.allclose(opaque.values, pixels[..., :3] @ [0.299, 0.587, 0.114] / 255, atol=1e-6)
    pixels[0, 0, 3] = 0
    source = read_source(write_picture("b.png", pixels))
    assert source.values[0, 0] == 0
    assert np.allclose(source.values[1:], opaque.values[1:])
    assert "transparent" in source.warnings[0]


def test_black_and_white_and_grey_with_alpha(tmp_path):
    bits = np.array([[True, False, True]])
    Image.fromarray(bits).save(tmp_path / "a.png")
    assert read_source(tmp_path / "a.png").values.tolist() == [[1.0, 0.0, 1.0]]
    Image.fromarray(np.array([[[200, 255], [200, 0]]], dtype=np.uint8), "LA").save(tmp_path / "b.png")
    assert np.allclose(read_source(tmp_path / "b.png").values, [[200 / 255, 0.0]])


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("missing.png", lambda path: None, "file not found"),
        ("empty.png", lambda path: path.write_bytes(b""), "the file is empty"),
        ("text.png", lambda path: path.write_text("no picture"), "cannot be read"),
        ("notes.txt", lambda path: path.write_text("no picture"), "not a supported image"),
        ("folder", lambda path: path.mkdir(), "not a supported image"),
        ("float.tif", lambda path: Image.fromarray(np.zeros((4, 4), np.float32)).save(path), "32-bit pixels"),
        ("int.tif", lambda path: Image.fromarray(np.zeros((4, 4), np.int32)).save(path), "32-bit pixels"),
        (
            "pages.tif",
            lambda path: Image.new("L", (4, 4)).save(path, save_all=True, append_images=[Image.new("L", (4, 4))]),
            "2 pages in one file",
        ),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(InputError, match=message) as caught:
        read_source(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


def test_truncated_picture_is_refused(write_picture, noise):
    path = write_picture("a.png", noise((64, 64)))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"a\.png: cannot be read"):
        read_source(path)


def test_file_without_permission_is_refused(write_picture, noise, monkeypatch):
    path = write_picture("a.png", noise((4, 4)))

    def deny(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", deny)  # root may read everything, so that chmod would not do
    with pytest.raises(InputError, match="Permission denied"):
        read_source(path)
