"""Look at the zip of a released bundle before anything of it is used, and unpack it where it may go.

``python -m shared_networks.release --verify FILE.zip [--unpack FOLDER]``
"""

import hashlib
import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from shared_networks.errors import InputError, one_line
from shared_networks.utils.hashing import stream_hash
from shared_networks.utils.weights import MANIFEST

_MOST_BYTES = 2**31  # of all members together; a bundle here has some 100 MB
_MOST_MEMBERS = 10_000
_LARGEST_MANIFEST = 2**20


def verify_release(path: str | Path) -> dict[str, str]:
    """Check every member of a bundle's zip against its manifest; nothing is unpacked to the disk.

    The manifest is part of the zip: it tells a whole file from a damaged or changed one, not who made it. For that,
    compare the zip's own SHA-256 with the one that is published.

    Args:
        path: zip with one folder at its top that holds ``SHA256SUMS``.

    Returns:
        Name of every member with ``/`` -> its SHA-256; the manifest itself is not among them.

    Raises:
        InputError: one line: not a zip, a member that would land outside its folder (``..``, an absolute path, a drive,
            a link), doubled names, no or another manifest, too large when unpacked.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _checked_members(path, archive)
            top = next(iter(members)).split("/")[0]
            listed = _manifest(path, archive, members, top)
            for name, member in members.items():
                if name in listed and _hash(archive, member) != listed[name]:
                    raise InputError(f"{path}: {name} is not the file of {MANIFEST}; download the zip again.")
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read as a zip ({one_line(error)[:200]}); download it again.") from error
    return listed


def unpack_release(path: str | Path, folder: str | Path) -> Path:
    """Verify a bundle's zip, unpack it below ``folder``, atomically, and return the bundle's folder.

    Raises InputError, see :func:`verify_release`; also when the bundle's folder is there already.
    """
    path, folder = Path(path), Path(folder)
    listed = verify_release(path)
    top = next(iter(listed)).split("/")[0]
    target = folder / top
    if target.exists() or target.is_symlink():
        raise InputError(f"{target}: is there already; remove it, or give another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unpacking-", dir=folder) as temporary, zipfile.ZipFile(path) as archive:
        for name in [*listed, f"{top}/{MANIFEST}"]:
            file = Path(temporary, *name.split("/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            content = archive.read(name)
            # Compared once more: what was verified must be what is written.
            if name in listed and hashlib.sha256(content).hexdigest() != listed[name]:
                raise InputError(f"{path}: {name} changed while it was unpacked; download the zip again.")
            file.write_bytes(content)
        Path(temporary, top).rename(target)
    return target


def _checked_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Files of a zip by name, none of which can land outside the one folder at its top."""
    members: dict[str, zipfile.ZipInfo] = {}
    taken: set[str] = set()
    entries = archive.infolist()
    for member in entries:
        name = member.filename
        fault = _fault(member)
        if fault:
            raise InputError(f"{path}: {name[:100]!r} {fault}; it is not unpacked: use another zip.")
        if name.rstrip("/").lower() in taken:
            raise InputError(f"{path}: {name!r} is there twice; use another zip.")
        taken.add(name.rstrip("/").lower())
        if not member.is_dir():
            members[name] = member
    if len(entries) > _MOST_MEMBERS or sum(member.file_size for member in entries) > _MOST_BYTES:
        raise InputError(
            f"{path}: more than {_MOST_MEMBERS} members or {_MOST_BYTES} bytes when unpacked; that is no bundle."
        )
    tops = {name.split("/")[0] for name in taken}
    if len(tops) != 1 or not members or any("/" not in name for name in members):
        raise InputError(f"{path}: expected one folder at the top that holds everything, found {len(tops)} entries.")
    return members


def _fault(member: zipfile.ZipInfo) -> str:
    """Why a member may not be unpacked, or ''."""
    # orig_filename: what the file says, before zipfile cuts it at a NUL or turns the system's separator into /.
    name = member.orig_filename
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name):
        return "is an absolute path"
    if re.search(r"[\\\x00-\x1f:*?\"<>|]", name):
        return "holds characters that no file name may have"
    parts = PurePosixPath(name).parts
    if ".." in parts or str(PurePosixPath(name)) != name.rstrip("/"):
        return "leads out of its folder"
    if member.flag_bits & 1:
        return "is encrypted"
    return ""


def _manifest(path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], top: str) -> dict[str, str]:
    """Full name -> SHA-256; exactly the members."""
    own = f"{top}/{MANIFEST}"
    if own not in members or members[own].file_size > _LARGEST_MANIFEST:
        raise InputError(f"{path}: no {own} in it; build the zip with python -m shared_networks.release.")
    lines = archive.read(own).decode("utf-8", "replace").splitlines()
    matches = [re.fullmatch(r"([0-9a-f]{64})  (.+)", line) for line in lines]
    if not lines or None in matches:
        raise InputError(f"{path}: {own} is not a list of SHA-256 and names; build the zip anew.")
    listed = {f"{top}/{match[2]}": match[1] for match in matches if match}
    for names, fact in (
        (sorted(members.keys() - listed.keys() - {own}), f"is not in {MANIFEST}"),
        (sorted(listed.keys() - members.keys()), f"is in {MANIFEST}, but not in the zip"),
    ):
        if names:
            raise InputError(f"{path}: {names[0]} {fact}; download the zip again.")
    return listed


def _hash(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> str:
    with archive.open(member) as stream:
        return stream_hash(stream)
