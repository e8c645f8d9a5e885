"""`python -m shared_networks.check` for volumes: names, labels and masks."""

import json
import re

import numpy as np
import pytest

from shared_networks import check
from shared_networks.data import training_cases
from shared_networks.errors import InputError
from tests.robustness.file_maker import FileMaker, brain, changed


def white():
    """A label as a program may draw it: white on black."""
    shown = np.zeros(brain().shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    for name in "RGB":
        shown[name] = (brain() > 0) * 255
    return shown


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
        (lambda m: m.volume("l.nii", (brain() > 0) * 7), "value 7 in the label, expected 0, 1, 2, 3, 4"),
        (lambda m: m.volume("l.nii", (brain() > 0) * 0.5), "value 0.5 in the label, expected whole numbers in 0..255"),
        (lambda m: m.volume("l.nii", (brain() > 0) * 300), "value 300 in the label, expected whole numbers in 0..255"),
        (lambda m: m.volume("l.nii", (brain() > 0) * -1), "value -1 in the label, expected whole numbers in 0..255"),
        (lambda m: m.volume("l.nii", (brain() > 0) * 1, changed((0, 3), 2.0)), "resample the label onto the image's"),
        (lambda m: m.volume("l.nii", (brain() > 0)[..., 1:] * 1), "the sizes differ"),
        (lambda m: m.path("none.nii"), "file not found"),
        (lambda m: m.file("l.nii", b""), "the file is empty"),
        (lambda m: m.volume("l.nii", white()), "a label in colour; save it as whole numbers"),
    ],
    ids=["class outside", "fractions", "above 255", "negative", "shifted", "size", "missing", "empty", "colour"],
)
def test_labels(tmp_path, label, message):
    maker = FileMaker(tmp_path)
    item = {"t1": str(maker.volume("t1.nii")), "flair": str(maker.volume("flair.nii", brain(1))), "subject": "a"}
    (tmp_path / "cases.json").write_text(json.dumps([item | {"label": str(label(maker))}, item | {"subject": "b"}]))
    arguments = ["--datalist", str(tmp_path / "cases.json"), "--label_map", "tissue"]
    assert check.main([*arguments, "--json", str(tmp_path / "r.json")]) == 2
    first, other = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["cases"]
    assert first["status"] == "refused" and re.search(message, first["reason"])
    assert other == {"case": "b", "status": "ok", "reason": ""}


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (lambda m: m.volume("m.nii", (brain() > 0) * 1, changed((0, 3), 2.0)), "resample the label onto the image's"),
        (lambda m: m.volume("m.nii", (brain() > 0)[..., 1:] * 1), "the sizes differ"),
        (lambda m: m.volume("m.nii", (brain() > 0) * 0.5), "value 0.5 in the label, expected whole numbers in 0..255"),
        (lambda m: m.path("none.nii"), "file not found"),
        (lambda m: m.volume("m.nii", (brain() > 0) * 1), ""),
    ],
    ids=["shifted", "size", "fractions", "missing", "good"],
)
def test_masks_beside_labels_are_looked_at_by_the_check_as_by_a_training(tmp_path, mask, message):
    maker = FileMaker(tmp_path)
    item = {"t1": str(maker.volume("t1.nii")), "flair": str(maker.volume("flair.nii", brain(1))), "subject": "a"}
    item |= {"label": str(maker.volume("l.nii", (brain() > 0) * 3)), "normal_hyperintensity": str(mask(maker))}
    (tmp_path / "cases.json").write_text(json.dumps({"training": [item], "validation": [item]}))
    where = ["--datalist", str(tmp_path / "cases.json"), "--section", "training"]
    assert check.main([*where, "--json", str(tmp_path / "r.json")]) == (2 if message else 0)
    (entry,) = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["cases"]
    assert re.search(message, entry["reason"]) and (entry["status"] == "refused") == bool(message)
    allowed = {"datalist": where[1], "allowed_labels": [*range(5), 255]}
    if message:
        with pytest.raises(InputError, match=message):
            training_cases("training", **allowed)
    else:
        assert len(training_cases("training", **allowed)) == 1
