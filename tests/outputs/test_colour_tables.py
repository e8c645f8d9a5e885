"""Colour tables, as the viewers' formats want them."""

from shared_networks.outputs import ColourTables
from shared_networks.outputs.colour_tables import colour_tables

NAMES = {0: "background", 1: "CSF", 2: "white matter"}


def test_formats():
    tables = colour_tables(NAMES)
    # tab:blue is 1f77b4; the last class is red.
    assert tables["fsleyes.lut"] == "1 0.12157 0.46667 0.70588 CSF\n2 1.00000 0.00000 0.00000 white_matter\n"
    assert tables["freeview.txt"] == "0 background 0 0 0 0\n1 CSF 31 119 180 0\n2 white_matter 255 0 0 0\n"
    assert tables["itk_snap.label"].splitlines() == [
        '0 0 0 0 0 0 0 "Clear Label"',
        '1 31 119 180 1 1 1 "CSF"',
        '2 255 0 0 1 1 1 "white matter"',
    ]
    assert tables["slicer.ctbl"] == "0 background 0 0 0 0\n1 CSF 31 119 180 255\n2 white_matter 255 0 0 255\n"


def test_they_are_written_when_the_run_starts(tmp_path):
    ColourTables(list(NAMES.values())).start(tmp_path, "")
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "colour_tables").iterdir()}
    assert written == colour_tables(NAMES)
