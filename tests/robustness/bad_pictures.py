"""Cases of MRI and CT, PET or SPECT: what is done to them, and what must become of the case."""

import struct
import zlib

import numpy as np
from PIL import Image

from tests.robustness.file_maker import AXIAL, brain, changed


def grey(number=0, shape=(24, 20)):
    """A round head on black, 8 bit, neither noisy nor bright."""
    rows, columns = np.indices(shape)
    depth = 0.2 - (rows / shape[0] - 0.5) ** 2 - (columns / shape[1] - 0.5) ** 2
    waves = 80 + 20 * np.sin(rows / 3 + number) + 15 * np.cos(columns / 2 - 2 * number)
    return (waves * (depth / 0.2).clip(0, 1)).astype(np.uint8)


def colour(number=1):
    """The same in three colours."""
    return np.stack([grey(number), grey(number + 1), grey(number + 2)], axis=-1)


def pair(first=None, other=None, ending="png"):
    """Two pictures of these pixels."""
    return lambda maker, name: [
        maker.picture(f"{name}/{key}.{ending}", pixels)
        for key, pixels in (("mri", grey() if first is None else first), ("ct", grey(1) if other is None else other))
    ]


def other(write):
    """A good MRI, and what ``write(maker, folder)`` makes as the other source."""
    return lambda maker, name: (maker.picture(f"{name}/mri.png", grey()), write(maker, name))


def bytes_of(change, ending="png"):
    """A good MRI, and a picture whose file's bytes are changed."""
    return other(lambda maker, name: maker.rewritten(maker.picture(f"{name}/ct.{ending}", grey(1)), change))


def volumes(second=None, affine=AXIAL):
    """Two volumes."""
    return lambda maker, name: [
        maker.volume(f"{name}/mri.nii.gz"),
        maker.volume(f"{name}/pet.nii.gz", brain(1) if second is None else second, affine),
    ]


def pages(maker, name):
    """A TIFF of two pages."""
    first, second = (Image.fromarray(grey(number)) for number in (1, 2))
    path = maker.path(f"{name}/ct.tif")
    first.save(path, save_all=True, append_images=[second])
    return path


def claim(width, height):
    """Let a PNG say another size, with the right checksum."""

    def change(data):
        header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]

    return change


def damaged(data):
    """A byte of the pixels changed, the checksum not."""
    place = data.index(b"IDAT") + 20
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def transparent(maker, name):
    """A colour picture with a transparent corner."""
    pixels = np.dstack([colour(), np.full((24, 20), 255, np.uint8)])
    pixels[:3, :3, 3] = 0
    return maker.picture(f"{name}/pet.png", pixels)


SIDES = [np.where((np.arange(20) < 8) == left, 200, 0).repeat(24).reshape(20, 24).T.astype(np.uint8) for left in (1, 0)]
NOISE = np.random.default_rng(0).integers(0, 200, (24, 20)).astype(np.uint8)

REFUSED = {
    "other size": (pair(other=grey(1, (24, 21))), "the sizes differ, 24 x 20 against 24 x 21; register and resample"),
    "lying": (pair(other=grey(1, (20, 24))), "the sizes differ, 24 x 20 against 20 x 24"),
    "picture and volume": (
        other(lambda maker, name: maker.volume(f"{name}/ct.nii.gz")),
        "one is a picture, the other a volume; register and resample the two onto one grid.",
    ),
    "black MRI": (pair(first=grey() * 0), "the MRI is constant .every value 0.; give the right image"),
    "white MRI": (pair(first=grey() * 0 + 255), "the MRI is constant .every value 1."),
    "one pixel": (pair(first=grey(0, (1, 1)), other=grey(1, (1, 1))), "the MRI is constant"),
    "cut": (bytes_of(lambda data: data[: len(data) // 2]), "cannot be read .*; check that the file is complete"),
    "cut jpeg": (bytes_of(lambda data: data[: len(data) // 2], "jpg"), "cannot be read"),
    "cut bmp": (bytes_of(lambda data: data[:-99], "bmp"), "cannot be read"),
    "cut tiff": (bytes_of(lambda data: data[:-99], "tif"), "cannot be read"),
    "damaged": (bytes_of(damaged), "cannot be read"),
    "empty": (bytes_of(lambda data: b""), "the file is empty; copy or export it again"),
    "text": (bytes_of(lambda data: b"no picture"), "cannot be read"),
    "claims pixels": (bytes_of(claim(60000, 60000)), "the header says|cannot be read"),
    "claims more than it holds": (bytes_of(claim(8000, 8000)), "the header says 8000 x 8000 pixels; expected at most"),
    "claims a row more": (bytes_of(claim(20, 2**31 - 1)), "the header says|cannot be read"),
    "no pixels": (bytes_of(claim(0, 24)), "cannot be read|no pixels"),
    "two pages": (other(pages), "2 pages in one file; expected one picture, or a NIfTI volume"),
    "float picture": (pair(other=grey(1).astype(np.float32), ending="tif"), "32-bit pixels from .*; scale them to"),
    "32 bit": (pair(other=grey(1).astype(np.int32), ending="tif"), "32-bit pixels .mode I."),
    "other format": (other(lambda maker, name: maker.file(f"{name}/ct.xyz", b"a")), "not a supported image"),
    "missing": (other(lambda maker, name: maker.path(f"{name}/ct.png")), "file not found; check the path"),
    "folder": (other(lambda maker, name: maker.path(f"{name}/ct.png/x").parent), "not a supported image"),
    "same file": (other(lambda maker, name: maker.path(f"{name}/mri.png")), "given as the MRI and as the other source"),
    "volume with NaN": (volumes(np.full((12, 11, 10), np.nan)), "1320 NaN or infinite values; replace them"),
    "volume flipped": (volumes(affine=changed((0, 0), -1.0)), "the orientation differs, RAS against LAS"),
    "volume shifted": (volumes(affine=changed((2, 3), 3.0)), "shifted against the other by 3 mm"),
    "volume over time": (volumes(np.zeros((12, 11, 10, 3), np.int16)), "4D image"),
    "complex volume": (volumes(brain(1).astype(np.complex64)), "complex values; save the magnitude"),
    "volume sheared": (volumes(affine=changed((0, 1), 0.5)), "the affine is sheared"),
}

WARNED = {
    "swapped": (pair(first=colour(), other=grey()), "mri.png: the MRI is in colour; are the two swapped?"),
    "both in colour": (pair(first=colour(), other=colour(5)), "mri.png: the MRI is in colour"),
    "one image twice": (pair(other=grey()), "mri.png and ct.png hold the same image"),
    "little overlap": (pair(*[side + NOISE // 40 * (side > 0) for side in SIDES]), "overlap by 0% of the smaller one"),
    "constant other": (pair(other=grey() * 0 + 90), r"ct.png is constant \(every value 0.352941\): nothing"),
    "mask": (pair(first=(grey() > 0).astype(np.uint8) * 255), "mri.png: only 2 different values; is it a mask"),
    "12 bits": (pair(other=grey(1).astype(np.uint16) * 16), "ct.png: more than 8 bit, and less than 1/8 of the range"),
    "transparent": (other(transparent), "pet.png: transparent pixels were put on black"),
}

GOOD = {
    "grey": pair(),
    "coloured": pair(other=colour()),
    "tiff": pair(ending="tif"),
    "bmp": pair(ending="bmp"),
    "jpeg": pair(ending="jpg"),
    "16 bits": pair(other=grey(1).astype(np.uint16) * 257),
    "odd sizes": pair(grey(0, (7, 33)), grey(1, (7, 33))),
    "volumes": volumes(),
}
