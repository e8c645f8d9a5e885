"""Read one picture (PNG, TIFF, BMP, JPEG, GIF, WebP, JPEG 2000) as values in [0, 1], upright and with black as 0."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from shared_networks.errors import InputError
from shared_networks.io.header_checks import MOST_PIXELS, check_picture_size
from shared_networks.io.png_structure import is_short_png
from shared_networks.io.source import Source, split_colour

# MPO is opened as JPEG. Without a list, Pillow would try every format it knows, some of which start other programs.
_FORMATS = ("PNG", "TIFF", "BMP", "DIB", "JPEG", "GIF", "WEBP", "JPEG2000")
_EXIF_ORIENTATION = 0x0112
_BITS, _PHOTOMETRIC, _WHITE_IS_ZERO, _SAMPLE_FORMAT, _SIGNED = 258, 262, 0, 339, 2
_KIND_OF_PAGE, _REDUCED, _EXTRA = 254, 1, 338
_OPACITY = 2  # what ExtraSamples says of opacity that colours are still to be multiplied by
_COLOUR = ("RGB", "RGBA", "RGBX", "LA", "CMYK", "YCbCr", "LAB")
# Orientation of TIFF and EXIF -> how rows and columns of the stored picture are put upright.
_UPRIGHT = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels.swapaxes(0, 1)[:, ::-1],
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: lambda pixels: pixels.swapaxes(0, 1)[::-1],
}


def read_picture(path: Path) -> Source:
    """Read a file as a picture, turned as EXIF or TIFF state, inverted where 0 is white in a TIFF.

    Raises InputError when it holds several pages, or values whose range nothing says, and what Pillow raises for a
    damaged file.
    """
    # From memory: a file would be asked for as many bytes as a damaged header says, and room for them made first.
    Image.init()
    content = path.read_bytes()
    try:
        opened = Image.open(io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError as error:
        other = _other_tiff(path)
        if other is None:
            raise UnidentifiedImageError(f"cannot identify image file {path.name}") from error
        return picture_source(path, *other)
    with opened as picture:
        check_picture_size(picture, path)
        if is_short_png(content):
            raise InputError(f"{path}: its rows end before the last one; copy or export it again.")
        _refuse_pages(picture, path)
        deep = any(";16" in str(tile.args) for tile in picture.tile)  # before getexif, which decodes a PNG
        is_deep = picture.mode in _COLOUR and max(_tiff_tag(picture, _BITS, (1,))) > 8
        if is_deep or _tiff_tag(picture, _EXTRA, ()):
            # Cut down to 8 bit without a word, or, with planes one after the other, read as if they were not.
            other = _other_tiff(path)
            if other is None and is_deep:
                raise InputError(f"{path}: {picture.mode} of more than 8 bit; save it as grey or RGB of 16 bit.")
            if other is not None:
                return picture_source(path, *other)
        # Pillow puts a TIFF upright by itself, where it decodes it.
        stated = picture.getexif().get(_EXIF_ORIENTATION, 1)
        pixels, highest, decoded = _pixels(picture, path, deep)
        turn = _UPRIGHT.get(1 if picture.format == "TIFF" and decoded else stated, _UPRIGHT[1])
    return picture_source(path, turn(pixels), highest)


def _tiff_tag(picture: Image.Image, number: int, default: tuple[int, ...]) -> tuple[int, ...]:
    """Values of a tag of a TIFF; the default for other pictures."""
    return tuple(np.atleast_1d(picture.tag_v2.get(number, default))) if picture.format == "TIFF" else default


def picture_source(path: Path, pixels: np.ndarray, highest: float) -> Source:
    """A source of pixels H x W or H x W x channels (grey, grey and alpha, RGB, RGBA) from 0 to ``highest``."""
    bit_depth = 8 if highest in (127, 255) else 16
    values = pixels.astype(np.float32) / np.float32(highest)
    remarks = []
    if values.ndim == 3 and values.shape[-1] in (2, 4):
        alpha = values[..., -1:]
        if alpha.min() < 1.0:
            remarks.append(f"{path.name}: transparent pixels were put on black")
        values = values[..., :-1] * alpha
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    chroma = None
    if values.ndim == 3:
        values, chroma = split_colour(values)
    if bit_depth == 16 and 0 < values.max() < 1 / 8:
        remarks.append(f"{path.name}: more than 8 bit, and less than 1/8 of the range is used; scale it to the range")
    return Source(path, np.ascontiguousarray(values), chroma, bit_depth=bit_depth, normalised=True, warnings=remarks)


def _refuse_pages(picture: Image.Image, path: Path) -> None:
    """Several pages are refused, but for small copies: behind a JPEG as cameras store them (MPO), or in a TIFF."""
    count = getattr(picture, "n_frames", 1)
    if count > 1 and not (picture.format in ("TIFF", "MPO") and _others_are_copies(picture, count)):
        raise InputError(f"{path}: {count} pages in one file; expected one picture, or a NIfTI volume.")


def _others_are_copies(picture: Image.Image, count: int) -> bool:
    """Whether every further page of a TIFF says that it is another one at a reduced size, or whether the further frames
    of an MPO are thumbnails of the first one, or equal to it."""
    first = np.asarray(picture) if picture.format == "MPO" else None
    try:
        for number in range(1, count):
            picture.seek(number)
            if first is None:
                is_copy = int(picture.tag_v2.get(_KIND_OF_PAGE, 0)) & _REDUCED
            else:
                kind = picture.mpinfo[0xB002][number]["Attribute"]["MPType"]
                is_copy = "Thumbnail" in kind or np.array_equal(first, np.asarray(picture))
            if not is_copy:
                return False
    finally:
        picture.seek(0)
    return True


def _pixels(picture: Image.Image, path: Path, deep: bool) -> tuple[np.ndarray, float, bool]:
    """Pixels H x W or H x W x channels, the value of white, and whether Pillow decoded them."""
    picture.load()
    if deep and (picture.mode in _COLOUR or (picture.format == "PNG" and "transparency" in picture.info)):
        return _deep_png(path), 65535, False
    is_tiff = picture.format == "TIFF"
    inverted = is_tiff and picture.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    signed = is_tiff and picture.tag_v2.get(_SAMPLE_FORMAT, (1,))[0] == _SIGNED
    if picture.mode.startswith("I;16") or (deep and picture.mode == "I") or (signed and picture.mode == "L"):
        pixels = np.asarray(picture)
        if picture.mode == "L":  # Pillow takes the bytes as unsigned
            pixels = pixels.view(np.int8)
        if pixels.min() < 0:
            raise InputError(f"{path}: negative pixel values; save it as an unsigned 8- or 16-bit picture.")
        bits = picture.tag_v2.get(_BITS, (16,))[0] if is_tiff else 16
        highest = 2 ** (int(bits) - signed) - 1
        # Pillow inverts 8 bit, and not 16.
        return (highest - pixels.astype(np.int32) if inverted else pixels), highest, True
    if picture.mode == "F":
        pixels = np.asarray(picture)
        _refuse_unknown_range(pixels, path)
        return 1.0 - pixels if inverted else pixels, 1.0, True
    if picture.mode == "I":
        raise InputError(f"{path}: 32-bit pixels (mode {picture.mode}); save it as an 8- or 16-bit picture.")
    if picture.mode == "1" or picture.mode == "L":
        return np.asarray(picture.convert("LA" if "transparency" in picture.info else "L")), 255, True
    if picture.format == "JPEG2000" and _bits_of_jpeg2000(path) > 8:
        raise InputError(f"{path}: JPEG 2000 colour of more than 8 bit; save it as PNG or TIFF.")
    if picture.mode in ("LA", "RGBA"):
        return np.asarray(picture), 255, True
    transparent = picture.mode == "PA" or "transparency" in picture.info
    return np.asarray(picture.convert("RGBA" if transparent else "RGB")), 255, True


def _deep_png(path: Path) -> np.ndarray:
    """A PNG of 16 bit with colour or opacity, which Pillow cuts down to 8 bit or passes over, as it is stored."""
    import itk

    reader = itk.PNGImageIO.New()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    pixel_type = itk.Vector[itk.F, reader.GetNumberOfComponents()]
    return itk.array_from_image(itk.imread(str(path), pixel_type=pixel_type))


def _other_tiff(path: Path) -> tuple[np.ndarray, float] | None:
    """Pixels, upright and with black as 0, and the value of white, of a TIFF that Pillow does not know or changes.

    Grey, grey with opacity or RGB(A); whole numbers of 8 or 16 bit, or floating-point ones; None for any other file.
    """
    import tifffile

    if path.read_bytes()[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    with tifffile.TiffFile(path) as file:
        pages = [page for page in file.pages if not page.is_reduced]
        page = pages[0] if len(pages) == 1 else None
        if page is None or page.axes not in ("YX", "YXS", "SYX") or page.photometric not in (0, 1, 2):
            return None
        kind = None if page.dtype is None else page.dtype.str[1:]
        if kind not in ("u1", "u2", "i2", "f2", "f4", "f8") or page.imagewidth * page.imagelength > MOST_PIXELS:
            return None
        stated = page.tags[_EXIF_ORIENTATION].value if _EXIF_ORIENTATION in page.tags else 1
        inverted, bits, extra = page.photometric == _WHITE_IS_ZERO, page.bitspersample, page.extrasamples
        try:
            pixels = page.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            name = getattr(page.compression, "name", page.compression)
            raise InputError(
                f"{path}: compressed by {name}, which needs the package imagecodecs in this kind of TIFF; install it, "
                "or save it without compression."
            ) from error
    pixels = np.moveaxis(pixels, 0, -1) if page.axes == "SYX" else pixels
    colours = None
    if pixels.ndim == 3:
        # Opacity comes first among what is no colour; where colours were multiplied by it, it has done its work.
        colours = max(pixels.shape[-1] - len(extra), 1)
        pixels = pixels[..., : colours + (int(extra[0]) == _OPACITY if extra else 0)]
        if pixels.shape[-1] > 4:
            return None
    highest = 1.0
    if kind[0] == "f":
        _refuse_unknown_range(pixels, path)
    elif pixels.min() < 0:
        raise InputError(f"{path}: negative pixel values; save it as an unsigned 8- or 16-bit picture.")
    else:
        highest, pixels = 2.0 ** (bits - (kind[0] == "i")) - 1, pixels.astype(np.float32)
    if inverted:
        pixels[..., :colours] = highest - pixels[..., :colours]
    return _UPRIGHT.get(int(stated), _UPRIGHT[1])(pixels), highest


def _bits_of_jpeg2000(path: Path) -> int:
    """Bits of the first component (ISO/IEC 15444-1, A.5.1: marker SIZ), which Pillow cuts down to 8 in colour."""
    content = path.read_bytes()
    place = content.find(b"\xff\x4f\xff\x51")
    return (content[place + 42] & 0x7F) + 1 if 0 <= place < len(content) - 42 else 8


def _refuse_unknown_range(pixels: np.ndarray, path: Path) -> None:
    """Of floating-point pixels, only 0 to 1 has one meaning."""
    known = pixels[~np.isnan(pixels)]  # NaN is refused with all other pictures
    low, high = (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)
    if not 0.0 <= low <= high <= 1.0:
        raise InputError(
            f"{path}: {8 * pixels.itemsize}-bit pixels from {low:.4g} to {high:.4g}, of which nothing says what is "
            "white; scale them to 0..1, or save an 8- or 16-bit picture."
        )
