"""Zips of a bundle that must not be used: found by --verify, and nothing of them reaches the disk."""

import hashlib
import stat
import zipfile

import pytest

from shared_networks.errors import InputError
from shared_networks.release import main
from shared_networks.verify_release import unpack_release, verify_release

FILES = {"LICENSE": b"free\n", "configs/inference.json": b"{}\n", "models/model.pt": bytes(range(256)) * 40}
TOP = "a_bundle"


def member(name, mode=0o100644):
    entry = zipfile.ZipInfo(name)
    entry.create_system, entry.external_attr, entry.compress_type = 3, mode << 16, zipfile.ZIP_DEFLATED
    return entry


def write(path, files=FILES, extra=(), listed=None, manifest=True):
    """A zip of a bundle; ``extra`` are members beside, ``listed`` replaces lines of the manifest."""
    lines = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()} | (listed or {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(member(f"{TOP}/{name}"), content)
        for entry, content in extra:
            archive.writestr(entry, content)
        if manifest:
            text = "".join(f"{value}  {name}\n" for name, value in lines.items() if value)
            archive.writestr(member(f"{TOP}/SHA256SUMS"), text)
    return path


def test_good_zip_is_listed_and_unpacked_as_a_whole(tmp_path, capsys):
    path = write(tmp_path / "a.zip", extra=[(member(f"{TOP}/docs/", 0o040755), b"")])
    assert verify_release(path) == {f"{TOP}/{name}": hashlib.sha256(FILES[name]).hexdigest() for name in FILES}
    assert main(["--verify", str(path)]) == f"{path}: 3 files as SHA256SUMS lists them"
    target = tmp_path / "new" / "folder" / TOP
    assert main(["--verify", str(path), "--unpack", str(tmp_path / "new" / "folder")]) == str(target)
    found = {file.relative_to(target).as_posix(): file.read_bytes() for file in target.rglob("*") if file.is_file()}
    assert found.keys() == {*FILES, "SHA256SUMS"} and all(found[name] == FILES[name] for name in FILES)
    assert [file.name for file in target.parent.iterdir()] == [TOP]
    with pytest.raises(InputError, match="is there already; remove it, or give another folder"):
        unpack_release(path, target.parent)


def doubled(path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        write(path, extra=[(member(f"{TOP}/LICENSE"), b"other")])


def replaced(old, new):
    """Change bytes of a written zip; both names have one length, so that the zip stays one."""

    def change(path):
        write(path, extra=[(member(f"{TOP}/{old}"), b"x")])
        path.write_bytes(path.read_bytes().replace(old.encode(), new))

    return change


def encrypted(path):
    write(path)
    with zipfile.ZipFile(path) as archive:
        places = [entry.header_offset for entry in archive.infolist()]
    data = bytearray(path.read_bytes())
    data[places[0] + 6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)


def damaged(path):
    write(path)
    data = bytearray(path.read_bytes())
    data[data.index(b"model.pt") + 60] ^= 255
    path.write_bytes(data)


def beside(name, mode=0o100644, content=b"x"):
    return lambda path: write(path, extra=[(member(name, mode), content)])


LINK = stat.S_IFLNK | 0o777
BAD = {
    "parent": (beside(f"{TOP}/../../evil.py"), "leads out of its folder; it is not unpacked"),
    "parent first": (beside("../evil.py"), "leads out of its folder"),
    "parent last": (beside(f"{TOP}/.."), "leads out of its folder"),
    "dot": (beside(f"{TOP}/./LICENSE"), "leads out of its folder"),
    "absolute": (beside("/etc/evil"), "is an absolute path"),
    "drive": (beside("C:/evil"), "is an absolute path"),
    "backslash": (beside("..\\..\\evil"), "holds characters that no file name may have"),
    "server": (beside("\\\\server\\evil"), "is an absolute path"),
    "NUL": (replaced("evil_name", b"evil\0name"), "holds characters that no file name may have"),
    "line break": (replaced("evil_name", b"evil\nname"), "holds characters that no file name may have"),
    "stream": (beside(f"{TOP}/LICENSE:evil"), "holds characters that no file name may have"),
    "link": (beside(f"{TOP}/models/link", LINK, b"/etc"), "is a link or a device"),
    "link on top": (beside(TOP + "/a", LINK, b".."), "is a link or a device"),
    "device": (beside(f"{TOP}/device", stat.S_IFCHR | 0o600), "is a link or a device"),
    "pipe": (beside(f"{TOP}/pipe", stat.S_IFIFO | 0o600), "is a link or a device"),
    "twice": (doubled, "is there twice"),
    "twice in capitals": (beside(f"{TOP}/license"), "is there twice"),
    "encrypted": (encrypted, "is encrypted"),
    "two folders": (beside("other/LICENSE"), "expected one folder at the top"),
    "file on top": (beside("README"), "expected one folder at the top"),
    "not listed": (beside(f"{TOP}/evil.py"), "a_bundle/evil.py is not in SHA256SUMS"),
    "listed only": (
        lambda path: write(path, listed={"models/other.pt": "0" * 64}),
        "models/other.pt is in SHA256SUMS, but not in the zip",
    ),
    "other content": (
        lambda path: write(path, listed={"LICENSE": hashlib.sha256(b"").hexdigest()}),
        "LICENSE is not the file of SHA256SUMS; download the zip again",
    ),
    "no manifest": (lambda path: write(path, manifest=False), "no a_bundle/SHA256SUMS in it; build the zip with"),
    "manifest of another kind": (lambda path: write(path, listed={"LICENSE": "abc"}), "is not a list of SHA-256 and"),
    "no files": (lambda path: zipfile.ZipFile(path, "w").close(), "expected one folder at the top"),
    "damaged": (damaged, "cannot be read as a zip|is not the file of SHA256SUMS"),
    "cut": (lambda path: write(path).write_bytes(path.read_bytes()[:-30]), "cannot be read as a zip"),
    "text": (lambda path: path.write_text("no zip"), "cannot be read as a zip"),
    "missing": (lambda path: None, "cannot be read as a zip"),
}


@pytest.mark.parametrize("name", BAD)
def test_hostile_or_damaged_zip_is_refused_and_nothing_is_written(tmp_path, name):
    harm, message = BAD[name]
    path = tmp_path / "a.zip"
    harm(path)
    before = set(tmp_path.rglob("*"))
    for arguments in (["--verify", str(path)], ["--verify", str(path), "--unpack", str(tmp_path / "out" / "here")]):
        with pytest.raises(InputError, match=message) as caught:
            main(arguments)
        assert str(caught.value).startswith(str(path))
    assert set(tmp_path.rglob("*")) == before


def test_a_bomb_is_refused_by_what_it_says(tmp_path, monkeypatch):
    path = write(tmp_path / "a.zip", files=FILES | {"docs/zeros": bytes(2**20)})
    assert path.stat().st_size < 20_000
    monkeypatch.setattr("shared_networks.verify_release._MOST_BYTES", 2**20)
    with pytest.raises(InputError, match="more than 10000 members or 1048576 bytes when unpacked"):
        verify_release(path)


@pytest.mark.parametrize("arguments", [[], ["a_bundle", "--verify", "a.zip"], ["a_bundle", "--unpack", "out"]])
def test_command_line_that_does_not_go_together(arguments):
    with pytest.raises(InputError, match="give the folder of a bundle to build its zip, or --verify ZIP"):
        main(arguments)
