"""Pictures of every kind become H x W with rows as in the picture, in [0, 1]; bad_pictures.py has bad ones."""

import struct

import itk
import numpy as np
import pytest
import tifffile
from PIL import Image

from shared_networks.errors import InputError
from shared_networks.io.reading import read_source
from tests.io.test_png_structure import png_of


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


def test_12_bit_values_in_16_bit_give_a_warning(write_picture):
    source = read_source(write_picture("a.png", np.full((4, 4), 4095, dtype=np.uint16)))
    assert "less than 1/8 of the range" in source.warnings[0]


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


def stored_as(upright, orientation):
    """The rows and columns that a file with this EXIF orientation holds for an upright picture."""
    changes = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }
    return np.ascontiguousarray(changes[orientation](upright))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "rgb.png", "deep.png"])
def test_pictures_are_turned_upright(tmp_path, noise, orientation, name):
    upright = (
        noise((16, 24, 3)) if name == "rgb.png" else noise((16, 24)).astype(np.uint16 if "deep" in name else np.uint8)
    )
    picture = Image.fromarray(stored_as(upright, orientation))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"tiffinfo": {274: orientation}} if name == "a.tif" else {"exif": exif}
    options |= {"lossless": True} if name == "a.webp" else {}
    picture.save(tmp_path / name, **options)
    expected = upright @ [0.299, 0.587, 0.114] if upright.ndim == 3 else upright
    assert np.allclose(read_source(tmp_path / name).values, expected / (65535 if "deep" in name else 255), atol=1e-6)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_jpeg_is_turned_upright(tmp_path, orientation):
    upright = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (16, 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored_as(upright, orientation)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    assert np.abs(read_source(tmp_path / "a.jpg").values - upright / 255).max() < 0.02


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_16_bit_colour_tiff_is_turned_upright(tmp_path, orientation):
    upright = np.random.default_rng(0).integers(0, 65536, (6, 9, 3), dtype=np.uint16)
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "a.tif", stored_as(upright, orientation), photometric="rgb", extratags=[tag])
    expected = upright @ [0.299, 0.587, 0.114] / 65535
    assert np.abs(read_source(tmp_path / "a.tif").values - expected).max() < 1e-6


def test_floating_point_tiff_from_zero_to_one(tmp_path):
    pixels = np.random.default_rng(0).random((6, 9)).astype(np.float32)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    source = read_source(tmp_path / "a.tif")
    assert np.array_equal(source.values, pixels) and source.bit_depth == 16 and source.warnings == []
    for bad in (pixels * 255, pixels - 0.5, np.where(pixels > 0.5, np.nan, pixels)):
        Image.fromarray(bad.astype(np.float32)).save(tmp_path / "b.tif")
        with pytest.raises(InputError, match=r"32-bit pixels from|NaN"):
            read_source(tmp_path / "b.tif")


@pytest.mark.parametrize("suffix", ["gif", "webp", "jp2", "png", "jfif"])
def test_further_formats(tmp_path, suffix):
    pixels = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (16, 1))
    options = {"webp": {"lossless": True}, "jp2": {"irreversible": False}, "jfif": {"format": "JPEG", "quality": 95}}
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", **options.get(suffix, {}))
    source = read_source(tmp_path / f"a.{suffix}")
    assert np.abs(source.values - pixels / 255).max() <= (0.02 if suffix == "jfif" else 1e-6)
    assert source.chroma is None and source.bit_depth == 8


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "mpo"])
def test_several_frames_are_refused(tmp_path, noise, suffix):
    frames = [Image.fromarray(noise((16, 16, 3), number)) for number in range(2)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="2 pages in one file"):
        read_source(tmp_path / f"a.{suffix}")


def test_copies_behind_a_jpeg_do_not_count(tmp_path):
    pixels = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (16, 1))
    Image.fromarray(pixels).save(tmp_path / "a.mpo", save_all=True, append_images=[Image.fromarray(pixels)])
    (tmp_path / "a.mpo").rename(tmp_path / "a.jpg")
    assert np.abs(read_source(tmp_path / "a.jpg").values - pixels / 255).max() < 0.03


def test_deep_jpeg_2000(tmp_path):
    pixels = np.arange(96, dtype=np.uint16).reshape(8, 12) * 682
    Image.fromarray(pixels).save(tmp_path / "a.jp2", irreversible=False)
    source = read_source(tmp_path / "a.jp2")
    assert source.bit_depth == 16 and np.abs(source.values - pixels / 65535).max() < 1e-6


def test_signed_tiff_is_white_at_its_own_highest_value(tmp_path):
    for kind in (np.int8, np.int16):
        highest = np.iinfo(kind).max
        pixels = np.random.default_rng(0).integers(0, highest + 1, (6, 9)).astype(kind)
        tifffile.imwrite(tmp_path / "a.tif", pixels)
        source = read_source(tmp_path / "a.tif")
        assert np.allclose(source.values, pixels / highest, atol=1e-6) and source.warnings == []
        assert source.bit_depth == 8 * pixels.itemsize
        tifffile.imwrite(tmp_path / "b.tif", pixels - kind(1 + highest // 2))
        with pytest.raises(InputError, match="negative pixel values; save it as an unsigned 8- or 16-bit picture"):
            read_source(tmp_path / "b.tif")


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_half_and_double_precision_tiff(tmp_path, kind):
    pixels = np.random.default_rng(0).random((6, 9)).astype(kind)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels)
    assert np.allclose(read_source(path).values, pixels, atol=1e-6)
    tifffile.imwrite(path, stored_as(pixels, 6), photometric="miniswhite", extratags=[(274, "H", 1, 6, True)])
    assert np.allclose(read_source(path).values, 1 - pixels, atol=1e-3)
    tifffile.imwrite(path, pixels * kind(255))
    with pytest.raises(InputError, match=f"a.tif: {8 * pixels.itemsize}-bit pixels from"):
        read_source(path)
    tifffile.imwrite(path, np.stack([pixels] * 2))
    with pytest.raises(InputError, match=r"cannot identify image file a.tif"):
        read_source(path)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bit_colour_tiff_however_it_is_stored(tmp_path, planar, order):
    pixels = np.random.default_rng(0).integers(0, 65536, (6, 5, 3), dtype=np.uint16)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, byteorder=order)
    source = read_source(tmp_path / "a.tif")
    assert np.abs(source.values - pixels @ [0.299, 0.587, 0.114] / 65535).max() < 1e-6 and source.bit_depth == 16


@pytest.mark.parametrize(("kind", "order"), [(np.uint16, ">"), (np.uint16, "<"), (np.int16, "<"), (np.uint8, ">")])
def test_tiff_in_which_0_is_white_is_inverted(tmp_path, kind, order):
    highest = np.iinfo(kind).max
    pixels = np.random.default_rng(0).integers(0, highest, (6, 9), endpoint=True).astype(kind)
    for bigtiff in (False, True):
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite", byteorder=order, bigtiff=bigtiff)
        assert np.allclose(read_source(tmp_path / "a.tif").values, 1 - pixels / highest, atol=1e-6)
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="minisblack", byteorder=order)
    assert np.allclose(read_source(tmp_path / "b.tif").values, pixels / highest, atol=1e-6)


def test_floating_point_colour_tiff(tmp_path):
    pixels = np.random.default_rng(0).random((6, 9, 3)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    source = read_source(tmp_path / "a.tif")
    assert np.abs(source.values - pixels @ [0.299, 0.587, 0.114]).max() < 1e-6 and source.chroma is not None
    tifffile.imwrite(tmp_path / "a.tif", pixels * 255, photometric="rgb")
    with pytest.raises(InputError, match="of which nothing says what is white"):
        read_source(tmp_path / "a.tif")


def test_small_copies_in_a_tiff_do_not_count(tmp_path, noise):
    pixels = noise((16, 18))
    for subfile, said in ((1, ""), (0, "2 pages in one file")):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(pixels)
            file.write(pixels[::2, ::2], subfiletype=subfile)
        if said:
            with pytest.raises(InputError, match=said):
                read_source(tmp_path / "a.tif")
        else:
            assert np.array_equal(read_source(tmp_path / "a.tif").values, pixels.astype(np.float32) / 255)


def test_colour_jpeg_2000(tmp_path, noise):
    pixels = noise((16, 18, 3))
    Image.fromarray(pixels).save(tmp_path / "a.jp2", irreversible=False)
    source = read_source(tmp_path / "a.jp2")
    assert np.abs(source.values - pixels @ [0.299, 0.587, 0.114] / 255).max() < 1e-6 and source.chroma is not None


GREY = np.random.default_rng(1).integers(0, 256, (8, 6)).astype(np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 256, (8, 6, 3)).astype(np.uint8)


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha", "unspecified"])
@pytest.mark.parametrize(("pixels", "planes"), [(GREY, "contig"), (COLOUR, "contig"), (COLOUR, "separate")])
def test_a_further_channel_of_a_tiff_is_what_it_says(tmp_path, bits, kind, pixels, planes):
    """Opacity to be applied, opacity that was applied, or nothing of the sort."""
    top, of_kind = {8: (255, np.uint8), 16: (65535, np.uint16), 32: (1.0, np.float32)}[bits]
    values, half = (pixels / 255 * top).astype(of_kind), of_kind(top * (128 / 255))
    if kind == "assocalpha":
        values = (values * (128 / 255)).astype(of_kind)
    channels = np.concatenate([values.reshape(8, 6, -1), np.full((8, 6, 1), half)], axis=-1)
    planes_first = np.moveaxis(channels, -1, 0) if planes == "separate" else channels
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    keys = {"planarconfig": planes, "photometric": photometric, "extrasamples": [kind]}
    tifffile.imwrite(tmp_path / "a.tif", planes_first, **keys)
    expected = pixels @ [0.299, 0.587, 0.114] if pixels.ndim == 3 else pixels
    share = 1.0 if kind == "unspecified" else 128 / 255
    source = read_source(tmp_path / "a.tif")
    assert np.abs(source.values - share * expected / 255).max() < 0.004
    assert (source.chroma is None) == (pixels.ndim == 2)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_opacity_is_not_inverted_with_the_grey_of_a_tiff(tmp_path, kind):
    top = np.iinfo(kind).max
    grey = (GREY / 255 * top).astype(kind)
    channels = np.stack([top - grey, np.full_like(grey, top)], axis=-1)
    keys = {"photometric": "miniswhite", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    tifffile.imwrite(tmp_path / "a.tif", channels, **keys)
    assert np.abs(read_source(tmp_path / "a.tif").values - grey / top).max() < 1e-6


def write_png(path, pixels, colour_type, *chunks):
    """16-bit PNG, which Pillow does not write but in grey."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    path.write_bytes(png_of(rows, pixels.shape[1], pixels.shape[0], 16, colour_type, *chunks))
    return path


def test_16_bit_png_with_opacity(tmp_path):
    grey = GREY.astype(np.uint16) * 256 + 3
    half = np.full_like(grey, 32768)
    source = read_source(write_png(tmp_path / "la.png", np.stack([grey, half], axis=-1), 4))
    assert np.allclose(source.values, grey / 65535 * 32768 / 65535, atol=1e-6) and source.bit_depth == 16
    clear = struct.pack(">H", grey[0, 0])
    source = read_source(write_png(tmp_path / "trns.png", grey, 0, (b"tRNS", clear)))
    assert np.allclose(source.values, np.where(grey == grey[0, 0], 0, grey) / 65535, atol=1e-6)
    assert source.warnings == ["trns.png: transparent pixels were put on black"]
    colour = COLOUR.astype(np.uint16) * 257
    clear = struct.pack(">HHH", *map(int, colour[0, 0]))
    source = read_source(write_png(tmp_path / "rgb.png", colour, 2, (b"tRNS", clear)))
    expected = np.where((colour == colour[0, 0]).all(axis=-1), 0, COLOUR @ [0.299, 0.587, 0.114] / 255)
    assert np.allclose(source.values, expected, atol=1e-5)


def test_a_compression_that_needs_another_package_is_named(tmp_path, monkeypatch):
    def needs(*_):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    tifffile.imwrite(tmp_path / "a.tif", COLOUR.astype(np.uint16), photometric="rgb")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", needs)
    with pytest.raises(InputError, match=r"a.tif: compressed by NONE, which needs the package imagecodecs .*; install"):
        read_source(tmp_path / "a.tif")
