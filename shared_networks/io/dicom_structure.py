"""Whether every element of a DICOM file fits into it: GDCM takes the memory that a length asks for before it looks."""

import struct
import zlib
from pathlib import Path

from shared_networks.errors import InputError
from shared_networks.io.dicom_files import begins_as_dicom, begins_in_big_endian

# Value representations: with a length of four bytes, and of two.
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED = 0xFFFFFFFF
_ITEM, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_PIXELS, _TRANSFER_SYNTAX = (0x7FE0, 0x0010), (0x0002, 0x0010)
_IMPLICIT, _DEFLATED, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
_MOST_INFLATED = 2**31


def check_dicom_structure(path: Path) -> None:
    """Walk through the elements of a file by their lengths (DICOM PS3.5, Section 7), those of sequences too.

    The preamble may be missing; a file that is no DICOM file passes. Raises InputError naming the file and what is
    wrong: damaged meta information (GDCM guesses then, and takes other bytes for lengths), or the first element that is
    longer than what follows it.
    """
    data = path.read_bytes()
    if not begins_as_dicom(data):
        return
    has_preamble = data[128:132] == b"DICM"
    place, syntax = 132 if has_preamble else 0, ""
    in_meta = has_preamble or data[:2] == b"\2\0"
    # Without meta information nothing names the syntax: type letters behind the first tag do.
    order = "<" if has_preamble or not begins_in_big_endian(path) else ">"
    explicit, in_pixels = in_meta or data[4:6] in _SHORT | _LONG, False
    while place + 8 <= len(data):
        if in_meta and data[place : place + 2] != b"\2\0":
            in_meta = False
            if not syntax:
                raise _damaged(path)
            if syntax == _DEFLATED:
                data, place = _inflated(path, data[place:]), 0
            order, explicit = ">" if syntax == _BIG_ENDIAN else "<", syntax != _IMPLICIT
        tag = struct.unpack_from(f"{order}HH", data, place)
        length, start = _length(data, place, order, explicit and tag[0] != 0xFFFE)
        if in_meta and data[place + 4 : place + 6] not in _LONG | _SHORT:
            raise _damaged(path)
        if length == _UNDEFINED:
            # What follows are items, up to their end.
            in_pixels = in_pixels or tag == _PIXELS
            place = start
            continue
        if length > len(data) - start:
            name = f"({tag[0]:04x},{tag[1]:04x})"
            raise InputError(
                f"{path}: cannot be read, element {name} says {length} bytes and {len(data) - start} are left; copy or "
                "export the file again."
            )
        if tag == _TRANSFER_SYNTAX and in_meta:
            syntax = data[start : start + length].decode("ascii", "replace").strip("\0 ")
        in_pixels = in_pixels and tag != _SEQUENCE_END
        holds_items = data[start : start + 4] == struct.pack(f"{order}HH", *_ITEM)
        is_open = not in_pixels and (tag == _ITEM or (holds_items and tag != _PIXELS))
        place = start if is_open else start + length


def _inflated(path: Path, packed: bytes) -> bytes:
    """What follows the meta information of a deflated file (PS3.5, A.5)."""
    try:
        data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _MOST_INFLATED)
    except zlib.error as error:
        raise InputError(f"{path}: cannot be read, its deflated part is damaged; copy or export it again.") from error
    if len(data) == _MOST_INFLATED:
        raise InputError(f"{path}: more than {_MOST_INFLATED} bytes when unpacked; export it again.")
    return data


def _length(data: bytes, place: int, order: str, explicit: bool) -> tuple[int, int]:
    """Length of the value of the element at ``place``, and where the value starts."""
    kind = data[place + 4 : place + 6]
    if explicit and kind in _SHORT:
        return struct.unpack_from(f"{order}H", data, place + 6)[0], place + 8
    if explicit and kind in _LONG and place + 12 <= len(data):
        return struct.unpack_from(f"{order}I", data, place + 8)[0], place + 12
    # Inside an element of unknown type (UN), an explicit file too holds implicit elements.
    return struct.unpack_from(f"{order}I", data, place + 4)[0], place + 8


def _damaged(path: Path) -> InputError:
    return InputError(f"{path}: cannot be read, its meta information is damaged; copy or export the file again.")
