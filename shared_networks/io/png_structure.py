"""Whether a PNG holds all the rows that its header promises: Pillow leaves those that are missing black, silently."""

import struct
import zlib
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type -> values of a pixel (PNG specification, section 11.2.2)."""
_ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))
"""Passes of interlaced images: first column and step, first row and step (section 8.2)."""


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of every chunk; the last one may be cut off."""
    place = len(_SIGNATURE)
    while place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        yield kind, content[place + 8 : place + 8 + length]
        place += length + 12


def stated_png_bytes(header: bytes) -> int:
    """Bytes of all rows, with the filter's byte in front of each, by the data of an IHDR chunk."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header[:13])
    bits = depth * _CHANNELS[colour]
    total = 0
    for left, right, top, down in _ADAM7 if interlaced else ((0, 1, 0, 1),):
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def is_short_png(content: bytes) -> bool:
    """Whether the compressed rows of a PNG file end, in good order, before the last row.

    False for what is no PNG, and for data that cannot be decompressed, which its reader refuses.
    """
    if not content.startswith(_SIGNATURE):
        return False
    chunks = list(_chunks(content))
    data = b"".join(part for kind, part in chunks if kind == b"IDAT")
    try:
        expected = stated_png_bytes(dict(chunks)[b"IHDR"])
        decompressor = zlib.decompressobj()
        found = decompressor.decompress(data, expected)
    except (KeyError, struct.error, zlib.error):
        return False
    return decompressor.eof and len(found) < expected
