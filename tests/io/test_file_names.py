"""Names of inputs and outputs."""

import pytest

from shared_networks.io.file_names import case_folder, file_kind, file_stem, is_path, safe_name


@pytest.mark.parametrize(
    ("name", "kind", "stem"),
    [
        ("a/7.png", "picture", "7"),
        ("a/7.TIF", "picture", "7"),
        ("a/p.1.nii.gz", "volume", "p.1"),
        ("a/p.nii", "volume", "p"),
        ("a/notes.txt", "", "notes.txt"),
        ("a/scan.dcm", "", "scan"),
    ],
)
def test_kind_and_stem(name, kind, stem):
    assert file_kind(name) == kind
    assert file_stem(name) == stem


def test_folder_is_a_series_when_it_holds_dicom(tmp_path):
    assert file_kind(tmp_path) == ""
    (tmp_path / "IM0001").write_bytes(b"\0" * 128 + b"DICM")
    assert file_kind(tmp_path) == "series"
    (tmp_path / "IM0001").write_bytes(b"no dicom")
    assert file_kind(tmp_path) == ""
    (tmp_path / "1.dcm").write_bytes(b"")
    assert file_kind(tmp_path) == "series"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("patient 7", "patient_7"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "case"),
        ("", "case"),
        ("/abs/olute", "_abs_olute"),
        ("a\\b:c*?\n", "a_b_c_"),
        ("CT_2004", "CT_2004"),
        ("x" * 300, "x" * 100),
        ("\u8133" * 100, "\u8133" * 60),
        ("a" + "\U00020000" * 100, "a" + "\U00020000" * 44),
        ("CON", "_CON"),
        ("aux.nii", "_aux.nii"),
        ("console", "console"),
        ("u\u0308", "\u00fc"),
    ],
)
def test_safe_name(name, safe):
    assert safe_name(name) == safe
    assert safe_name(safe) == safe
    assert "/" not in safe_name(name)


@pytest.mark.parametrize("name", ["..", "../a", "a/..", "/a", "a\\b", "C:a", "c:\\a", "a\0b", "."])
def test_names_that_are_paths(name):
    assert is_path(name)


@pytest.mark.parametrize("name", ["", "a", "a..b", "p 7", "1.2.3", ".hidden", "a...", "T1: pre"])
def test_names_that_are_not(name):
    assert not is_path(name)


def test_folder_of_a_case_stays_below_the_output_folder(tmp_path):
    assert case_folder(tmp_path / "out", "a") == tmp_path / "out" / "a"
    (tmp_path / "inside").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "inside")
    assert case_folder(tmp_path, "link") == tmp_path / "link"
    assert case_folder(tmp_path / "link", "a") == tmp_path / "link" / "a"
    with pytest.raises(OSError, match="a link that leads out of output_dir"):
        case_folder(tmp_path / "inside", "../link/..")


def test_the_longest_name_leaves_room_for_the_endings(tmp_path):
    name = safe_name("\U00020000" * 300)
    (tmp_path / name).mkdir()
    (tmp_path / name / f"{name}_segmentation_preparation_report.nii.gz").touch()
