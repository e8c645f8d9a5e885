"""What the text headers of NRRD and MetaImage say: data file, unit of length, size; ITK does not check all of it."""

import re
import zlib
from pathlib import Path

import numpy as np

from shared_networks.errors import InputError
from shared_networks.io.header_checks import checked_count

_HEADER = 2**16  # bytes of a text header that are looked at
_DEFLATE = 1032  # most bytes that one byte can be unpacked to
_UNIT = re.compile(rb'^(?:space )?units:[^"\n]*"([^"\n]+)"', re.IGNORECASE | re.MULTILINE)
_DISTANCE_UNITS = re.compile(rb"^DistanceUnits\s*=[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
_SCALE = re.compile(rb"^ElementToIntensityFunction(Slope|Offset)\s*=[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE)
IN_WORDS = re.compile(rb"^(?:BinaryData\s*=\s*False|encoding:\s*(?:ascii|te?xt))", re.IGNORECASE | re.MULTILINE)
_PACKED = re.compile(rb"^CompressedData\s*=\s*(?:True|1)", re.IGNORECASE | re.MULTILINE)
_PACKED_SIZE = re.compile(rb"^CompressedDataSize\s*=[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
_LOCAL = re.compile(rb"^ElementDataFile\s*=[ \t]*LOCAL[ \t]*\r?\n", re.IGNORECASE | re.MULTILINE)
_HEADER_END = re.compile(_LOCAL.pattern + rb"|\r?\n\r?\n", re.IGNORECASE | re.MULTILINE)  # of MetaImage, of NRRD
_ZLIB_OR_GZIP, _CHUNK = 47, 2**20
_MILLIMETRES = {"m": 1e3, "meter": 1e3, "meters": 1e3, "metre": 1e3, "metres": 1e3, "cm": 10.0, "centimeter": 10.0}
_MILLIMETRES |= dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers"), 1e-3)
# Where a text header names its data file; LOCAL means behind the header.
_DATA_FILE = re.compile(rb"^(?:ElementDataFile\s*=|data ?file:)[ \t]*(.*?)[ \t\r]*$", re.IGNORECASE | re.MULTILINE)


def header_text(path: Path) -> bytes:
    """The beginning of a file, which holds its header as text."""
    with path.open("rb") as stream:
        return stream.read(_HEADER)


def data_file(path: Path) -> Path | None:
    """The file that a text header keeps its voxels in; None when they follow the header."""
    header = header_text(path)
    found = _DATA_FILE.search(header if path.suffix.lower() == ".mhd" else header.split(b"\n\n", 1)[0])
    name = found[1].decode("utf-8", "replace") if found else ""
    if not found or name.upper() == "LOCAL":
        return None
    if not name or name.upper().startswith("LIST") or "%" in name:
        raise InputError(f"{path}: its voxels lie in several files; save it as one file.")
    data = path.parent / name
    if not data.is_file():
        raise InputError(f"{path}: {data.name}, which holds its voxels, is not there; copy both files.")
    return data


def millimetres(header: bytes, is_nrrd: bool) -> float:
    """Millimetres in the unit of length that the text of a header names (ITK passes it over); 1 without one."""
    fields = re.split(rb"\r?\n\r?\n|ElementDataFile", header, maxsplit=1)[0]
    found = (_UNIT if is_nrrd else _DISTANCE_UNITS).search(fields)
    return _MILLIMETRES.get(found[1].decode("utf-8", "replace").strip().lower(), 1.0) if found else 1.0


def stated_scale(header: bytes) -> tuple[np.float32, np.float32]:
    """Slope and offset of the values of a MetaImage, which ITK passes over."""
    scale = {name.lower(): np.float32(number) for name, number in _SCALE.findall(header)}
    return scale.get(b"slope", np.float32(1)), scale.get(b"offset", np.float32(0))


def check_stated_size(path: Path, data: Path, header: bytes, shape: tuple[int, ...], voxel: int) -> None:
    """Refuse a header that asks for more than can be fused, or than the data file can hold."""
    needed = checked_count(shape, path) * voxel
    in_words, is_zlib = IN_WORDS.search(header), _PACKED.search(header)
    is_packed = in_words or is_zlib or b"encoding: gz" in header.lower()
    end = _HEADER_END.search(header) if data == path else None
    held = data.stat().st_size - (end.end() if end else 0)
    if needed > held * (_DEFLATE if is_packed else 1):
        raise InputError(
            f"{path}: cannot be read, the header says {needed} bytes and {data.name} holds {held}; copy or "
            "export it again."
        )
    if is_zlib and not in_words:
        _check_packed(path, data, header, needed)


def _check_packed(path: Path, data: Path, header: bytes, needed: int) -> None:
    """Refuse compressed voxels of a MetaImage that ITK cannot unpack: it hands out what is in memory then."""
    stated, held, used = _PACKED_SIZE.search(header), 0, 0
    unpacker = zlib.decompressobj(_ZLIB_OR_GZIP)
    try:
        with data.open("rb") as stream:
            stream.seek(_LOCAL.search(header).end() if data == path else 0)
            while held <= needed and not unpacker.eof and (chunk := stream.read(_CHUNK)):
                used += len(chunk)
                while chunk and held <= needed:
                    held += len(unpacker.decompress(chunk, _CHUNK))
                    chunk = unpacker.unconsumed_tail
        used -= len(unpacker.unused_data)
        is_whole = unpacker.eof and held == needed
    except zlib.error:
        is_whole = False
    if not is_whole:
        raise InputError(f"{path}: cannot be read, its compressed voxels are damaged; copy or export it again.")
    if (data == path or stated) and (not stated or int(stated[1]) != used):
        raise InputError(
            f"{path}: cannot be read, its header does not say that {used} bytes are compressed (CompressedDataSize); "
            "export it again."
        )
