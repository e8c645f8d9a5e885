"""Nothing that comes from data or metadata is evaluated, and no text of theirs breaks a line or leads elsewhere."""

import ast
import inspect
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from monai.bundle import ConfigWorkflow

import shared_networks
from shared_networks import check
from shared_networks.errors import InputError
from shared_networks.io.dicom_structure import check_dicom_structure
from shared_networks.io.reading import read_source
from shared_networks.transforms import AlignPicturesd, DenoisePicturesd, LoadModalitiesd
from shared_networks.transforms.modality_checks import BRAIN_RANGES
from tests.robustness.file_maker import FileMaker, brain

PACKAGE = Path(shared_networks.__file__).parent


def test_the_package_compiles_nothing_and_starts_no_program():
    """What ruff has no rule for (those for eval, exec, pickle and shells are in pyproject.toml)."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("compile", "__import__"), path
                assert not name.startswith(("subprocess.", "shelve.")), path
                assert "allow_pickle" not in [keyword.arg for keyword in node.keywords], path


@pytest.mark.parametrize("key", ["subject", "label", "t1"])
def test_expressions_in_a_data_list_are_text(tmp_path, capsys, key):
    maker = FileMaker(tmp_path)
    expression = f"$__import__('pathlib').Path(r'{tmp_path}').joinpath('ran').touch()"
    item = {"t1": str(maker.volume("t1.nii")), "flair": str(maker.volume("flair.nii", brain(1))), "subject": "a"}
    (tmp_path / "cases.json").write_text(json.dumps([item | {key: expression}]))
    assert check.main(["--datalist", str(tmp_path / "cases.json")]) == 2
    assert not (tmp_path / "ran").exists()


def test_expressions_in_metadata_are_not_evaluated_by_a_run(rmr_bundle, tmp_path):
    metadata = json.loads((rmr_bundle / "configs" / "metadata.json").read_text(encoding="utf-8"))
    metadata["description"] = f"$__import__('pathlib').Path(r'{tmp_path}').joinpath('ran').touch()"
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    workflow = ConfigWorkflow(
        str(rmr_bundle / "configs" / "inference.json"),
        meta_file=str(tmp_path / "metadata.json"),
        workflow_type="infer",
        logging_file=False,
        bundle_root=str(rmr_bundle),
        device="cpu",
    )
    workflow.initialize()
    assert len(workflow.dataset) == 0 and not (tmp_path / "ran").exists()


def test_message_is_one_line_whatever_a_file_is_called():
    assert str(InputError("a\nb\x1b[31mc\r\n: missing\x85.")) == "a b [31mc : missing ."


@pytest.mark.skipif(os.name == "nt", reason="no such file names on Windows")
def test_names_with_line_breaks_and_escapes_stay_on_one_line(tmp_path, capsys):
    maker = FileMaker(tmp_path)
    t1 = maker.volume("a\nb\x1b[2J/t1.nii")
    assert check.main(["--t1", str(t1), "--flair", str(maker.file("a\nb\x1b[2J/flair.nii", b""))]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "\x1b" not in lines[0] and lines[0].startswith("a_b_2J refused: ")


@pytest.mark.parametrize("function", ["nibabel.load", "pathlib.Path.exists", "PIL.Image.open"])
def test_what_may_not_be_read_is_refused(tmp_path, monkeypatch, function):
    maker = FileMaker(tmp_path)
    path = maker.picture("a.png", np.zeros((9, 8), np.uint8)) if "PIL" in function else maker.volume("t1.nii")

    def deny(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(function, deny)  # the administrator may read everything, so that chmod would not do
    with pytest.raises(InputError, match=r"(t1\.nii|a\.png): cannot be read \(PermissionError: .*Permission denied"):
        read_source(path)


def test_header_text_in_dicom_is_not_looked_at(tmp_path):
    header = {"PatientName": "../../x\\y\x1b[31m", "SeriesDescription": "$(touch /x)`id`;rm -rf"}
    source = read_source(FileMaker(tmp_path).series("s", brain(), **header))
    assert np.array_equal(source.values, brain())


def test_ranges_of_the_config_are_those_of_the_check_command(rmr_bundle):
    config = json.loads((rmr_bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    assert config["expected_ranges"] == BRAIN_RANGES
    (loader,) = [step for step in config["preprocessing"]["transforms"] if "LoadModalitiesd" in step["_target_"]]
    assert loader["expected_ranges"] == "@expected_ranges"


def test_pictures_are_prepared_by_the_check_command_as_by_the_config(gesenet_bundle):
    config = json.loads((gesenet_bundle / "configs" / "inference.json").read_text(encoding="utf-8"))
    assert config["mid_grey"] == check._MID_GREY
    steps = [step for step in config["preprocessing"]["transforms"] if "LoadFusionPaird" not in step["_target_"]]
    for step, transform in zip(steps, (DenoisePicturesd, AlignPicturesd), strict=True):
        assert step["_target_"].endswith(f".{transform.__name__}")
        defaults = inspect.signature(transform).parameters
        for name in step.keys() - {"_target_", "_requires_", "_disabled_", "keys"}:
            assert list(np.ravel(config[step[name][1:]])) == list(np.ravel(defaults[name].default))


def test_other_ranges_and_none(tmp_path):
    maker = FileMaker(tmp_path)
    item = {"image": [str(maker.volume("t1.nii")), str(maker.volume("flair.nii", brain(1)))]}
    assert LoadModalitiesd()(item)["warning"] == ""
    warning = LoadModalitiesd(expected_ranges={"spacing": [0.5, 2.0], "brain_ml": [1000, 2000]})(item)["warning"]
    assert "the foreground has 2 ml, expected 1000 to 2000;" in warning + ";"
    assert "voxels of 1 x 1 x 3 mm, the network was trained with 0.5 to 2" in warning
    assert LoadModalitiesd(expected_ranges={})(item)["warning"] == ""


def explicit(*elements, syntax=b"1.2.840.10008.1.2.1\0"):
    """A DICOM file of raw elements."""
    meta = b"\2\0\x10\0UI" + len(syntax).to_bytes(2, "little") + syntax
    return bytes(128) + b"DICM" + meta + b"".join(elements)


def deflated(content):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


DEFLATED = b"1.2.840.10008.1.2.1.99"
ITEM, ITEM_END, END = (b"\xfe\xff" + tag for tag in (b"\0\xe0", b"\x0d\xe0", b"\xdd\xe0"))
OPEN = b"\xff\xff\xff\xff"
SEQUENCE = b"\x08\0\x40\x11SQ\0\0"
PIXELS = b"\xe0\x7f\x10\0OB\0\0"
NAME = b"\x10\0\x10\0PN\4\0a^b "


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (explicit(NAME), ""),
        (explicit(NAME[:-1]), r"\(0010,0010\) says 4 bytes and 3 are left"),
        (explicit(SEQUENCE, OPEN, ITEM, OPEN, NAME, ITEM_END, bytes(4), END, bytes(4), NAME), ""),
        (explicit(SEQUENCE, b"\x14\0\0\0", ITEM, b"\x0c\0\0\0", NAME, NAME), ""),
        (
            explicit(SEQUENCE, b"\x14\0\0\0", ITEM, b"\x0c\0\0\0", NAME[:6], b"\xff\x7f", NAME[8:]),
            r"\(0010,0010\) says 32767",
        ),
        (explicit(PIXELS, OPEN, ITEM, bytes(4), ITEM, b"\x04\0\0\0", b"\xff" * 4, END, bytes(4)), ""),
        (explicit(PIXELS, OPEN, ITEM, b"\xf0\0\0\0", b"\xff" * 4), r"\(fffe,e000\) says 240 bytes and 4 are left"),
        (explicit(PIXELS, b"\0\0\0\x80", b"1234"), r"\(7fe0,0010\) says 2147483648 bytes"),
        (explicit(deflated(NAME), syntax=DEFLATED), ""),
        (explicit(deflated(NAME[:-1]), syntax=DEFLATED), r"\(0010,0010\) says 4 bytes and 3 are left"),
        (explicit(NAME, syntax=DEFLATED), "its deflated part is damaged"),
        (bytes(128) + b"DICM" + NAME, "its meta information is damaged"),
        (explicit(NAME).replace(b"UI", b"U\1"), "its meta information is damaged"),
        (explicit(b"\0\x10\0\x10" + NAME[4:6] + b"\0\4a^b ", syntax=b"1.2.840.10008.1.2.2\0"), ""),
        (explicit(b"\x10\0\x10\0\4\0\0\0a^b ", syntax=b"1.2.840.10008.1.2\0"), ""),
        (b"no DICOM", ""),
    ],
    ids=[
        *("plain", "cut", "open", "closed", "nested", "frames", "frame", "pixels"),
        *("deflated", "deflated, cut", "not deflated"),
        *("no meta", "unknown type", "big endian", "implicit", "another file"),
    ],
)
def test_structure_of_dicom_files(tmp_path, content, fault):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    if fault:
        with pytest.raises(InputError, match=fault):
            check_dicom_structure(path)
    else:
        check_dicom_structure(path)


def test_files_of_a_scanner_pass(data_dir):
    files = sorted((data_dir / "dicom").rglob("*.dcm"))
    assert files
    for path in files:
        check_dicom_structure(path)
