"""Cases of T1 and FLAIR: what is done to them, and what must become of the case."""

import gzip
import os

import nibabel as nib
import numpy as np

from tests.robustness.file_maker import AXIAL, SHAPE, FileMaker, brain, changed, turned

RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])
DIM, DATATYPE, OFFSET, SLOPE, SFORM = 40, 70, 108, 112, 280  # where a NIfTI-1 header holds them


def put(value, kind=np.float32, place=(3, 3, 3)):
    """A FLAIR with one voxel changed."""
    values = brain(1).astype(kind)
    values[place] = value
    return values


def ball(inside, rim):
    """A ball of radius 52 mm on a grid of 4 mm: one value within, another at less than 12 mm below the surface."""
    grid = np.mgrid[-56:57:4, -56:57:4, -56:57:4]
    radius = np.sqrt((grid**2).sum(0))
    noise = np.random.default_rng(0).integers(-9, 10, radius.shape)
    return ((np.where(radius < 40, inside, rim) + noise) * (radius <= 52)).astype(np.int16)


def flair(**given):
    """A good T1, and a FLAIR of these values and this affine."""

    def make(maker, name):
        return maker.volume(f"{name}/t1.nii.gz"), maker.volume(
            f"{name}/flair.nii.gz", given.get("values", brain(1)), given.get("affine", AXIAL)
        )

    return make


def both(first, second, affine=AXIAL):
    """Two volumes of these values."""
    return lambda maker, name: [
        maker.volume(f"{name}/{key}.nii.gz", values, affine) for key, values in (("t1", first), ("flair", second))
    ]


def second(write):
    """A good T1, and what ``write(maker, folder)`` makes as the FLAIR."""
    return lambda maker, name: (maker.volume(f"{name}/t1.nii.gz"), write(maker, name))


def poked(*fields, file="flair.nii", values=None):
    """A good T1, and a FLAIR with fields of its header set."""
    return second(lambda maker, name: maker.poked(f"{name}/{file}", *fields, values=values))


def bytes_of(change, file="flair.nii.gz"):
    """A good T1, and a FLAIR whose file's bytes are changed."""
    return second(lambda maker, name: maker.rewritten(maker.volume(f"{name}/{file}", brain(1)), change))


def linked(link):
    """The T1 given once more by another name."""

    def make(maker, name):
        path = maker.volume(f"{name}/t1.nii.gz")
        link(path, path.with_name("flair.nii.gz"))
        return path, path.with_name("flair.nii.gz")

    return make


def series(**given):
    """T1 and FLAIR as DICOM series; ``harm`` is applied to the FLAIR's folder."""
    harm = given.pop("harm", lambda folder: None)

    def make(maker, name):
        folders = [maker.series(f"{name}/{key}", brain(n)) for n, key in enumerate(("t1", "f"))]
        harm(folders[1])
        return folders

    return make


def flipped_byte(data):
    """The same with a bit of the compressed voxels turned."""
    changed_data = bytearray(data)
    changed_data[len(data) // 2] ^= 16
    return bytes(changed_data)


def no_orientation(maker, name):
    """A FLAIR without orientation, and a T1 with the affine that is made up for it."""
    path = maker.path(f"{name}/flair.nii")
    nib.save(nib.Nifti1Image(brain(1), None), path)
    return maker.volume(f"{name}/t1.nii", affine=nib.load(path).affine), path


def two_orientations(maker, name):
    """A FLAIR whose qform says another place than its sform."""
    image = nib.Nifti1Image(brain(1), AXIAL)
    image.set_qform(changed((0, 3), 40.0), 1)
    nib.save(image, maker.path(f"{name}/flair.nii"))
    return maker.path(f"{name}/flair.nii")


def rows_of(folder, value):
    """Set the number of rows in a slice of a series."""
    path = folder / "01.dcm"
    data = path.read_bytes()
    start = data.index(b"\x28\x00\x10\x00") + 8
    path.write_bytes(data[:start] + value.to_bytes(2, "little") + data[start + 2 :])


def cut(folder):
    """Cut the end off a slice of a series."""
    path = folder / "02.dcm"
    path.write_bytes(path.read_bytes()[:-40])


HUGE = [(DIM + 2 * axis, "<h", 32767) for axis in range(1, 4)]
SHEARED = changed((0, 1), 0.5)
WRAPPED = np.where(brain(1) > 900, -32768, np.where(brain(1) > 800, 32767, brain(1))).astype(np.int16)
SKEWED = (brain(1).astype(np.float32) / 100) ** 6
NOISY = np.random.default_rng(2).integers(1, 1000, SHAPE).astype(np.int16)
LARGE = brain(0, (40, 40, 40)), brain(1, (40, 40, 40))
SIDES = np.where(np.arange(12)[:, None, None] < 7, brain(), 0), np.where(np.arange(12)[:, None, None] > 4, brain(1), 0)

REFUSED = {
    "a slice less": (flair(values=brain(1, (12, 11, 9))), "the sizes differ, 12 x 11 x 10 against 12 x 11 x 9"),
    "axes exchanged": (flair(values=brain(1, (11, 12, 10))), "the sizes differ, 12 x 11 x 10 against 11 x 12 x 10"),
    "other spacing": (flair(affine=changed((2, 2), 2.0)), "the spacing differs, 1 x 1 x 3 mm against 1 x 1 x 2 mm"),
    "shifted": (flair(affine=changed((0, 3), 5.0)), "shifted against the other by 5 mm; register and resample"),
    "shifted by half a voxel": (flair(affine=changed((1, 3), 0.5)), "shifted against the other by 0.5 mm"),
    "flipped": (flair(affine=changed((0, 0), -1.0)), "the orientation differs, RAS against LAS"),
    "upside down": (flair(affine=changed((2, 2), -3.0)), "the orientation differs, RAS against RAI"),
    "permuted": (flair(affine=AXIAL[:, [1, 0, 2, 3]]), "the orientation differs, RAS against ARS"),
    "turned a little": (flair(affine=turned(5)), "one is rotated against the other"),
    "turned a quarter": (flair(affine=turned(90)), "the orientation differs"),
    "singular": (poked((SFORM + 20, "<f", 0.0)), "the affine is singular .*; correct the header"),
    "two axes alike": (poked((SFORM + 4, "<f", 1.0), (SFORM + 20, "<f", 0.0)), "the affine is singular"),
    "affine NaN": (poked((SFORM + 28, "<f", np.nan)), "the affine holds NaN or infinite values; correct"),
    "affine infinite": (poked((SFORM, "<f", np.inf)), "the affine holds NaN or infinite values"),
    "sheared": (flair(affine=SHEARED), "the affine is sheared, .*; resample it to a regular grid"),
    "sheared both": (both(brain(), brain(1), SHEARED), "t1.nii.gz: the affine is sheared"),
    "time series": (
        flair(values=np.zeros((*SHAPE, 4), np.int16)),
        r"4D image of shape \(12, 11, 10, 4\); expected a 3D",
    ),
    "three channels of 16 bit": (flair(values=np.ones((*SHAPE, 3), np.int16)), "4D image"),
    "four channels that are no colours": (flair(values=np.ones((*SHAPE, 4), np.uint8)), "4D image"),
    "one slice as 2D": (flair(values=brain(1)[..., 4]), "a 2D image; expected a 3D volume"),
    "one line": (flair(values=brain(1)[:, 4, 4]), "1D image"),
    "colour": (flair(values=np.zeros(SHAPE, RGB)), "a colour image; expected the grey values of flair"),
    "complex": (flair(values=brain(1).astype(np.complex64)), "complex values; save the magnitude"),
    "complex double": (flair(values=brain(1).astype(np.complex128)), "complex values"),
    "one NaN": (flair(values=put(np.nan)), "1 NaN or infinite values; replace them"),
    "row of infinity": (flair(values=put(np.inf, place=(3, 3))), "10 NaN or infinite values"),
    "minus infinity": (flair(values=put(-np.inf)), "1 NaN or infinite values"),
    "beyond float32": (flair(values=put(1e300, np.float64)), "1 NaN or infinite values"),
    "all zero": (flair(values=brain(1) * 0), "every value is 0, no flair is there; give the right image"),
    "constant": (flair(values=np.full(SHAPE, 7, np.uint8)), "every value is 7, no flair is there"),
    "constant T1": (both(np.full(SHAPE, -3, np.int16), brain(1)), "every value is -3, no t1 is there"),
    "cut gz": (bytes_of(lambda data: data[: len(data) // 2]), "cannot be read .*; check that the file is complete"),
    "cut gz at its end": (bytes_of(lambda data: data[:-4]), "cannot be read"),
    "cut nii": (bytes_of(lambda data: data[:-1], "flair.nii"), "the header says 2992 bytes and the file holds 2991"),
    "header alone": (
        bytes_of(lambda data: data[:352], "flair.nii"),
        "the header says 2992 bytes and the file holds 352",
    ),
    "half a header": (bytes_of(lambda data: data[:100], "flair.nii"), "cannot be read"),
    "damaged gz": (bytes_of(flipped_byte), "cannot be read"),
    "empty": (bytes_of(lambda data: b""), "the file is empty; copy or export it again"),
    "empty gz": (bytes_of(lambda data: gzip.compress(b"")), "cannot be read"),
    "text": (bytes_of(lambda data: b"no volume\n" * 99), "cannot be read"),
    "not compressed": (bytes_of(gzip.decompress), r"not compressed, as its name says; rename it to .*\.nii\."),
    "compressed twice": (bytes_of(gzip.compress), "cannot be read"),
    "missing": (second(lambda maker, name: maker.path(f"{name}/flair.nii.gz")), "file not found; check the path"),
    "folder": (second(lambda maker, name: maker.path(f"{name}/flair.nii.gz/x").parent), "not a supported image"),
    "folder of other files": (
        second(lambda maker, name: maker.file(f"{name}/f/a.txt", b"a").parent),
        "not a supported",
    ),
    "other format": (
        second(lambda maker, name: maker.file(f"{name}/flair.xyz", b"a")),
        "not a supported image; expected",
    ),
    "no MetaImage": (second(lambda maker, name: maker.file(f"{name}/flair.mha", b"a")), "cannot be read"),
    "picture": (
        second(lambda maker, name: maker.picture(f"{name}/flair.png", (brain(1)[..., 4] // 4).astype(np.uint8))),
        "a 2D picture; expected a 3D volume",
    ),
    "same file": (
        second(lambda maker, name: maker.path(f"{name}/t1.nii.gz")),
        "given as t1 and as flair; expected two",
    ),
    "linked file": (linked(lambda path, link: link.symlink_to(path)), "given as t1 and as flair"),
    "hard link": (linked(lambda path, link: os.link(path, link)), "given as t1 and as flair"),
    "dangling link": (linked(lambda path, link: link.symlink_to("nowhere")), "file not found"),
    "link to itself": (linked(lambda path, link: link.symlink_to(link)), "cannot be read|not found"),
    "name too long": (second(lambda maker, name: maker.folder / ("x" * 300 + ".nii")), "cannot be read|not found"),
    "name with NUL": (second(lambda maker, name: f"{name}/a\0b.nii"), "not found|cannot be read"),
    "claims 2^45 voxels": (poked(*HUGE), "the header says 35181150961663 voxels; expected at most 1073741824"),
    "claims it compressed": (poked(*HUGE, file="flair.nii.gz"), "the header says 35181150961663 voxels"),
    "claims 1000 slices": (
        poked((DIM + 6, "<h", 1000), file="flair.nii.gz"),
        "says 264352 bytes and the file holds 2992",
    ),
    "negative length": (poked((DIM + 2, "<h", -12)), "shape|cannot be read"),
    "length zero": (poked((DIM + 4, "<h", 0)), "expected lengths of at least 1"),
    "voxels beyond the file": (poked((OFFSET, "<f", 1e6)), "the header says 1002640 bytes and the file holds 2992"),
    "unknown type": (poked((DATATYPE, "<h", 9999)), "cannot be read"),
    "wider type": (poked((DATATYPE, "<h", 64), (DATATYPE + 2, "<h", 64)), "says 10912 bytes and the file holds 2992"),
    "another size of header": (poked((0, "<i", 0), (344, "<i", 0)), "cannot be read"),
    "bomb": (
        second(lambda maker, name: maker.file(f"{name}/flair.nii.gz", gzip.compress(nii() + bytes(2**25)))),
        "the file holds far more than the 2992 bytes of its header",
    ),
    "series with a gap": (series(harm=lambda folder: (folder / "04.dcm").unlink()), "slices .* missing or unevenly"),
    "two series": (
        series(harm=lambda folder: (FileMaker(folder).series("x", brain(2)) / "03.dcm").rename(folder / "z.dcm")),
        "more than one DICOM series",
    ),
    "cut slice": (series(harm=cut), r"element \(7fe0,0010\) says 264 bytes and 224 are left"),
    "slice claims rows": (series(harm=lambda folder: rows_of(folder, 65535)), "02.dcm|01.dcm|series|cannot be read"),
    "empty slice": (second(lambda maker, name: maker.file(f"{name}/f/1.dcm", b"").parent), "cannot be read"),
    "slice is text": (
        series(harm=lambda folder: (folder / "05.dcm").write_text("no")),
        "missing or unevenly|cannot be",
    ),
}

WARNED = {
    "swapped": (both(ball(600, 900), ball(900, 600), np.diag([4.0, 4, 4, 1])), "t1 and flair look swapped; check"),
    "one image twice": (both(brain(), brain()), "t1 and flair hold the same image"),
    "little overlap": (both(*SIDES), "overlap by 33% of the smaller one; are they registered?"),
    "skull": (both(NOISY, NOISY[::-1]), "no voxel is 0: is the skull stripped?"),
    "large head": (both(*LARGE, np.diag([4.0, 4, 4, 1])), "the foreground has 3512 ml, .*: is the skull stripped?"),
    "outliers": (flair(values=SKEWED), "flair.nii.gz: the median of its range is 0.0., far from training"),
    "fine voxels": (both(brain(), brain(1), np.diag([0.3, 0.3, 1, 1])), "voxels of 0.3 x 0.3 x 1 mm, the network was"),
    "thick slices": (both(brain(), brain(1), np.diag([1.0, 1, 12, 1])), "trained with 0.7 to 8: resample them"),
    "wrapped numbers": (flair(values=WRAPPED), "all that 16 bit can hold; did larger ones wrap round"),
    "negative": (flair(values=brain(1) - 2000 * (brain(1) > 0)), "no value is above 0; is it a negative"),
    "label map": (flair(values=(brain(1) // 250).astype(np.uint8)), "only 4 different values; is it a mask"),
    "no orientation": (no_orientation, "flair.nii: the header names no orientation"),
    "two orientations": (second(two_orientations), "sform and qform of the header are up to 40 mm apart"),
    "bytes behind": (bytes_of(lambda data: data + bytes(9), "flair.nii"), "9 bytes more in the file than its header"),
}

GOOD = {
    "plain": flair(),
    "large numbers": flair(values=brain(1) * np.float32(1e30)),
    "double": flair(values=brain(1).astype(np.float64)),
    "unsigned": flair(values=brain(1).astype(np.uint16)),
    "bytes": flair(values=(brain(1) // 4).astype(np.uint8)),
    "length one behind": flair(values=brain(1)[..., None, None]),
    "a slice": both(brain()[..., 4:5], brain(1)[..., 4:5]),
    "a row": both(brain()[:, 4:5], brain(1)[:, 4:5]),
    "scale zero": poked((SLOPE, "<f", 0.0)),
    "scale NaN": poked((SLOPE, "<f", np.nan)),
    "scale infinite": poked((SLOPE, "<f", np.inf)),
    "not compressed": bytes_of(bytes, "flair.nii"),
    "capitals": second(lambda maker, name: maker.poked(f"{name}/FLAIR.NII")),
    "series": series(),
    "rounded affine": flair(affine=changed((0, 3), 1e-4)),
}


if os.name == "nt":  # links need rights there
    REFUSED = {name: case for name, case in REFUSED.items() if "link" not in name}


def nii():
    """Bytes of a good file."""
    return nib.Nifti1Image(brain(1), AXIAL).to_bytes()
