"""Read mutated files in a process of its own: ``python fuzz_readers.py TIMES SEED FOLDER``.

Every file is a small good one with some bytes changed, a piece missing, or a header field set to an extreme; TIMES
10,000 of them. Prints for every kind of file how many were read, how many were refused, and by how many MiB memory rose
at most. Anything but a result or an InputError ends the process, with the file left in FOLDER.
"""

import gzip
import io
import json
import logging
import struct
import sys
import zlib
from pathlib import Path

import itk
import nibabel as nib
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shared_networks.errors import InputError
from shared_networks.io.geometry_checks import check_affine
from shared_networks.io.reading import read_source, read_stacked_volume
from tests.io.series_writer import multi_frame
from tests.robustness.file_maker import FileMaker

COUNTS = {"nii": 380, "nii.gz": 300, "png": 300, "dcm": 300, "mha": 120, "nrrd": 120, "mgz": 120, "hdr": 120}
COUNTS |= {"jpg": 80, "tif": 80, "frames.dcm": 80}
SHAPE = (6, 5, 4)
# Offset and format of the fields of a NIfTI-1 header that decide how the rest is read, and values that do not fit.
LENGTHS = [32767, -1, -32768, 0, 1, 2, 1000]
NUMBERS = [float("nan"), float("inf"), -float("inf"), 0.0, 1e38, -1.0, 1e-45]
FIELDS = [
    *((40 + 2 * axis, "<h", [*LENGTHS, 7, 8]) for axis in range(8)),  # dim
    (70, "<h", [0, 1, 2, 8, 32, 64, 128, 256, 768, 1024, 1280, 1536, 1792, 2048, 2304, -1, 9999]),  # datatype
    (72, "<h", [0, 1, 8, 24, 64, 128, -16, 32767]),  # bitpix
    (108, "<f", [*NUMBERS, 348.0, 353.0, 1e9, -352.0]),  # vox_offset
    (112, "<f", NUMBERS),  # scl_slope
    (116, "<f", NUMBERS),  # scl_inter
    (0, "<i", [0, 540, -1, 1543569408]),  # sizeof_hdr
    *((offset, "<h", [0, 1, 4, -1, 32767]) for offset in (252, 254)),  # qform_code, sform_code
    *((offset, "<f", NUMBERS) for offset in range(76, 108, 4)),  # pixdim
    *((offset, "<f", NUMBERS) for offset in range(256, 328, 4)),  # quaternion, offsets, sform
]


def mutate(content, random):
    """Change, cut, repeat or insert bytes at random."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(len(data)))
        match int(random.integers(6)):
            case 0:
                data[place] ^= 1 << int(random.integers(8))
            case 1:
                data[place] = int(random.choice([0, 255, 127, 128, 1]))
            case 2:
                data[place : place + 4] = random.bytes(4)
            case 3:
                data[place:place] = random.bytes(int(random.integers(1, 9)))
            case 4:
                del data[place : place + int(random.integers(1, 9))]
            case _:
                data[place : place + 4] = struct.pack("<I", int(random.choice([0, 2**31 - 1, 2**31, 2**32 - 1])))
    if random.random() < 0.15:
        del data[int(random.integers(len(data) + 1)) :]
    return bytes(data) or b"\0"


def mutate_nifti(content, random):
    """Set up to three fields of the header to extremes; sometimes change bytes too."""
    data = bytearray(content)
    for _ in range(int(random.integers(1, 4))):
        offset, form, values = FIELDS[int(random.integers(len(FIELDS)))]
        struct.pack_into(form, data, offset, values[int(random.integers(len(values)))])
    return mutate(data, random) if random.random() < 0.4 else bytes(data)


def mutate_png(content, random):
    """Change bytes; half of the time give the changed chunks a right checksum, so that the decoder sees them."""
    data = bytearray(mutate(content, random))
    if random.random() < 0.5:
        place = 8
        while place + 12 <= len(data):
            length = struct.unpack_from(">I", data, place)[0]
            if place + 12 + length > len(data):
                break
            struct.pack_into(">I", data, place + 8 + length, zlib.crc32(data[place + 4 : place + 8 + length]))
            place += 12 + length
    return bytes(data)


def good_files(folder):
    """Kind -> content of a good file; of a series, the first slice."""
    voxels = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    image = nib.Nifti1Image(voxels, np.diag([1, 1, 2, 1]))
    image.header.set_slope_inter(1, 0)
    picture = io.BytesIO()
    Image.fromarray(np.arange(48 * 3, dtype=np.uint8).reshape(6, 8, 3)).save(picture, "PNG")
    series = FileMaker(folder).series("series", voxels[..., :2])
    files = {"nii": image.to_bytes(), "png": picture.getvalue(), "dcm": (series / "01.dcm").read_bytes()}
    for kind, format_name in (("jpg", "JPEG"), ("tif", "TIFF")):
        stream, exif = io.BytesIO(), Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(np.arange(480, dtype=np.uint8).reshape(20, 24)).save(stream, format_name, exif=exif)
        files[kind] = stream.getvalue()
    for kind in ("mha", "nrrd"):
        itk.imwrite(itk.image_from_array(np.ascontiguousarray(voxels.T)), str(folder / f"good.{kind}"))
        files[kind] = (folder / f"good.{kind}").read_bytes()
    nib.save(nib.MGHImage(voxels.astype(np.float32), np.eye(4)), folder / "good.mgz")
    files["mgz"] = (folder / "good.mgz").read_bytes()
    nib.save(nib.Nifti1Pair(voxels, np.eye(4)), folder / "mutant.hdr")  # its voxels stay; the header is changed
    files["hdr"] = (folder / "mutant.hdr").read_bytes()
    files["frames.dcm"] = multi_frame(folder / "good_frames.dcm", voxels, np.diag([-1.0, -1, 2, 1])).read_bytes()
    return files


def mutant(kind, good, random):
    """A changed file of this kind."""
    if kind in ("nii.gz", "mgz"):
        # Either the content or what compresses it.
        content = (
            mutate_nifti(good["nii"], random) if kind == "nii.gz" else mutate(gzip.decompress(good["mgz"]), random)
        )
        packed = gzip.compress(content, 1)
        return mutate(packed, random) if random.random() < 0.3 else packed
    if kind in ("mha", "nrrd") and random.random() < 0.5:
        # The text of the header, mostly.
        return mutate(good[kind][:300], random) + good[kind][300:]
    change = {"nii": mutate_nifti, "hdr": mutate_nifti, "png": mutate_png}.get(kind, mutate)
    return change(good[kind], random)


def read(path):
    """What the loaders do with one file; whether it was read."""
    try:
        if path.name.endswith((".nii", ".nii.gz", ".mha", ".nrrd", ".mgz", ".hdr")):
            read_stacked_volume(path)
        source = read_source(path)
        check_affine(source)
    except InputError as error:
        text = str(error)
        assert text.startswith(str(path.parent)), text
        assert "MemoryError" not in text and "bad_alloc" not in text, text
        return False
    assert np.isfinite(source.values).all() and source.values.ndim in (2, 3) and source.values.size
    return True


def limit_memory(room):
    """On Linux, let allocations fail beyond what is held now and ``room`` bytes: a test must not fill the machine."""
    if sys.platform == "linux":
        import resource

        held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + room, held + room))


def peak_memory():
    """Most memory that this process has held so far, in MiB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def fuzz(kind, good, count, seed, folder):
    """Read ``count`` mutants of one kind of file."""
    path = folder / "series" / "01.dcm" if kind == "dcm" else folder / f"mutant.{kind}"
    path.write_bytes(gzip.compress(good["nii"]) if kind == "nii.gz" else good[kind])
    asked = path.parent if kind == "dcm" else path
    assert read(asked), "the unchanged file must be good"
    before, accepted = peak_memory(), 0
    for number in range(count):
        # A generator for each, so that one case can be made again without those before it.
        path.write_bytes(mutant(kind, good, np.random.default_rng([seed, number])))
        accepted += read(asked)
    return {"read": accepted, "refused": count - accepted, "memory": round(peak_memory() - before, 1)}


def main(times, seed, folder):
    """Fuzz every kind of file."""
    logging.disable(logging.CRITICAL)
    good = good_files(folder)
    limit_memory(3 * 2**30)
    print(json.dumps({kind: fuzz(kind, good, count * times, seed, folder) for kind, count in COUNTS.items()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
