"""PNG files whose rows end too early: bytes by hand, and pictures that Pillow fills with black."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from shared_networks.errors import InputError
from shared_networks.io.png_structure import is_short_png, stated_png_bytes
from shared_networks.io.reading import read_source


def png_of(rows: bytes, width: int, height: int, depth: int = 8, colour: int = 0, *further: tuple) -> bytes:
    """A PNG with these rows, filter bytes included, whatever its header says; ``further`` chunks come before them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *further, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((10, 4, 8, 0, 0), 4 * 11),
        ((10, 4, 1, 0, 0), 4 * 3),
        ((10, 4, 16, 6, 0), 4 * 81),
        # Passes of 8 x 8 pixels: 1x1, 1x1, 2x1, 2x2, 4x2, 4x4, 8x4 columns x rows.
        ((8, 8, 8, 0, 1), 2 + 2 + 3 + 2 * 3 + 2 * 5 + 4 * 5 + 4 * 9),
        ((1, 1, 8, 2, 1), 4),
    ],
)
def test_bytes_that_a_header_promises(values, expected):
    width, height, depth, colour, interlaced = values
    assert stated_png_bytes(struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)) == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_whole_pictures_of_every_kind_are_whole(mode):
    values = np.arange(77, dtype=np.uint16).reshape(7, 11)
    picture = Image.fromarray(values) if mode == "I;16" else Image.fromarray(values.astype(np.uint8)).convert(mode)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    assert not is_short_png(stream.getvalue())
    assert not is_short_png(b"no PNG")


def test_rows_that_are_missing_are_refused_and_not_black(tmp_path):
    rows = [bytes([0, *range(20 * number, 20 * number + 12)]) for number in range(10)]
    whole, short = (png_of(b"".join(rows[:count]), 12, 10) for count in (10, 9))
    (tmp_path / "whole.png").write_bytes(whole)
    (tmp_path / "short.png").write_bytes(short)
    assert read_source(tmp_path / "whole.png").values.shape == (10, 12)
    assert not np.asarray(Image.open(io.BytesIO(short)))[-1].any()
    with pytest.raises(InputError, match=r"short\.png: its rows end before the last one; copy or export it again"):
        read_source(tmp_path / "short.png")
