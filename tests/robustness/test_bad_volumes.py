"""Every case of T1 and FLAIR that can go wrong, as a real file, through `python -m shared_networks.check`."""

import json
import re

import pytest

from shared_networks import check
from tests.robustness.bad_volumes import GOOD, REFUSED, WARNED
from tests.robustness.file_maker import FileMaker, brain, changed

TABLES = {"refused": REFUSED, "warned": WARNED, "ok": {name: (make, "") for name, make in GOOD.items()}}
CASES = [(status, name) for status, table in TABLES.items() for name in table]


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Exit code, entries by case and folder of one run over all cases, the good ones among the bad."""
    folder = tmp_path_factory.mktemp("volumes")
    maker, items = FileMaker(folder), []
    for number, (status, name) in enumerate(CASES):
        images = TABLES[status][name][0](maker, f"{status}{number}")
        items.append({"t1": str(images[0]), "flair": str(images[1]), "subject": f"{status} {name}"})
    items.sort(key=lambda item: item["subject"].split()[1:])
    (folder / "cases.json").write_text(json.dumps(items))
    code = check.main(["--datalist", str(folder / "cases.json"), "--json", str(folder / "result.json")])
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return code, {entry["case"]: entry for entry in result["cases"]}, result["counts"]


def test_one_bad_case_does_not_end_the_others(checked):
    code, entries, counts = checked
    assert code == 2
    assert counts == {status: len(table) for status, table in TABLES.items()}
    assert len(entries) == len(CASES) >= 90


@pytest.mark.parametrize(("status", "name"), CASES, ids=[f"{status}: {name}" for status, name in CASES])
def test_case(checked, status, name):
    entry = checked[1][f"{status}_{name}".replace(" ", "_").replace("^", "_")]
    message = TABLES[status][name][1]
    assert entry["status"] == status, entry["reason"]
    assert re.search(message, entry["reason"]) if message else entry["reason"] == ""
    assert "\n" not in entry["reason"]


def test_names_that_leave_the_folder_are_refused_and_the_others_are_not(tmp_path, capsys):
    maker = FileMaker(tmp_path)
    files = {"t1": str(maker.volume("a/t1.nii")), "flair": str(maker.volume("a/flair.nii", brain(1)))}
    bad = ["../out", "..", "/etc/case", "C:\\case", "a/b", "a\\b", "D:case", "x\0y"]
    items = [files | {"subject": name} for name in [*bad, "good", "GOOD", "p 7"]]
    (tmp_path / "cases.json").write_text(json.dumps(items))
    assert check.main(["--datalist", str(tmp_path / "cases.json")]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert [" refused: " in line for line in lines[:-1]] == [True] * len(bad) + [False, True, False]
    assert all("is a path; expected a plain name: correct the data list" in line for line in lines[: len(bad)])
    assert "its output name GOOD is that of" in lines[len(bad) + 1]
    assert lines[-1] == "2 ok, 0 warned, 9 refused"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (lambda m: m.volume("l.nii", (brain() > 0) * 7), "values 7 are not in the label map; expected 0, 1, 2, 3, 4"),
        (lambda m: m.volume("l.nii", (brain() > 0) * 0.5), "values are not whole numbers in 0..255"),
        (lambda m: m.volume("l.nii", (brain() > 0) * 300), "values are not whole numbers in 0..255"),
        (lambda m: m.volume("l.nii", (brain() > 0) * 1, changed((0, 3), 2.0)), "resample the label onto the image's"),
        (lambda m: m.volume("l.nii", (brain() > 0)[..., 1:] * 1), "the sizes differ"),
        (lambda m: m.path("none.nii"), "file not found"),
        (lambda m: m.file("l.nii", b""), "the file is empty"),
    ],
    ids=["class outside", "fractions", "above 255", "shifted", "size", "missing", "empty"],
)
def test_labels(tmp_path, label, message):
    maker = FileMaker(tmp_path)
    item = {"t1": str(maker.volume("t1.nii")), "flair": str(maker.volume("flair.nii", brain(1))), "subject": "a"}
    (tmp_path / "cases.json").write_text(json.dumps([item | {"label": str(label(maker))}, item | {"subject": "b"}]))
    arguments = [
        "--datalist",
        str(tmp_path / "cases.json"),
        "--label_map",
        "tissue",
        "--json",
        str(tmp_path / "r.json"),
    ]
    assert check.main(arguments) == 2
    first, other = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["cases"]
    assert first["status"] == "refused" and re.search(message, first["reason"])
    assert other == {"case": "b", "status": "ok", "reason": ""}
