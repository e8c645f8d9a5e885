"""Real files below one folder, good ones and the same made bad."""

import gzip
import struct

import nibabel as nib
import numpy as np
from PIL import Image

from tests.io.series_writer import write_series

SHAPE = (12, 11, 10)
AXIAL = np.diag([1.0, 1.0, 3.0, 1.0])


def brain(number=0, shape=SHAPE):
    """A stripped volume: whole numbers 100 to 999 in a box, 0 around."""
    values = np.zeros(shape, np.int16)
    values[1:-1, 1:-1, 1:-1] = np.random.default_rng(number).integers(100, 1000, [length - 2 for length in shape])
    return values


def changed(place, value, base=AXIAL):
    """An affine with one entry changed."""
    affine = base.copy()
    affine[place] = value
    return affine


def turned(degrees, base=AXIAL):
    """An affine turned about the third axis of the world."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ base


class FileMaker:
    """Writes files below a folder; every method returns the path."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def volume(self, name, values=None, affine=AXIAL):
        """A NIfTI volume; a good one when nothing else is said."""
        path = self.path(name)
        values = brain() if values is None else values
        if values.dtype == np.int64:
            values = values.astype(np.int16)
        nib.save(nib.Nifti1Image(values, affine), path)
        return path

    @staticmethod
    def rewritten(path, change):
        """The file with its bytes changed."""
        path.write_bytes(change(path.read_bytes()))
        return path

    def poked(self, name, *fields, values=None):
        """A NIfTI volume with fields of its header set: offset, format and value of each."""
        image = nib.Nifti1Image(brain(1) if values is None else values, AXIAL)
        image.header.set_slope_inter(1, 0)
        data = bytearray(image.to_bytes())
        for offset, form, value in fields:
            struct.pack_into(form, data, offset, value)
        return self.file(name, gzip.compress(bytes(data), 1) if name.endswith(".gz") else bytes(data))

    def file(self, name, content):
        """A file with these bytes."""
        path = self.path(name)
        path.write_bytes(content)
        return path

    def series(self, name, voxels, **header):
        """A folder of one DICOM series of int16 voxels, a file a slice; attributes of the header as given."""
        affine = np.diag([-1.0, -1.0, 3.0, 1.0])
        write_series(self.folder / name, voxels, affine, name="{number:02d}.dcm", **header)
        return self.folder / name

    def picture(self, name, pixels, **keys):
        """A picture of pixels, H x W or H x W x channels."""
        path = self.path(name)
        Image.fromarray(np.asarray(pixels)).save(path, **keys)
        return path


def items_of(tables, cases, maker, keys):
    """Write the files of ``cases`` ((status, name), ...) and return items of a data list.

    ``tables``: status -> name -> (maker of files, message). ``keys``: what the item calls its images and its name.
    """
    items = []
    for number, (status, name) in enumerate(cases):
        first, second, *_ = tables[status][name][0](maker, f"c{number}")
        items.append(dict(zip(keys, (str(first), str(second), f"{status} {name}"), strict=True)))
    return items
