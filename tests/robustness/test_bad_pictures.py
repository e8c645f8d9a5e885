"""`python -m shared_networks.check` for pictures: its ways to name them, and what cannot be checked."""

import json
import re
import subprocess
import sys

import pytest

from shared_networks import check
from shared_networks.errors import InputError
from tests.robustness.bad_pictures import grey
from tests.robustness.file_maker import FileMaker


def test_two_folders_and_a_folder_of_pairs(tmp_path, capsys):
    maker = FileMaker(tmp_path)
    for name in ("a", "b"):
        maker.picture(f"d/mri/{name}.png", grey())
    maker.picture("d/other/a.tif", grey(1))
    for arguments in (
        ["--mri", str(tmp_path / "d/mri"), "--other", str(tmp_path / "d/other")],
        ["--dataset_dir", str(tmp_path / "d")],
    ):
        assert check.main(arguments) == 2
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "a ok" and lines[2] == "1 ok, 0 warned, 1 refused"
        assert re.fullmatch(r"b refused: .*b\.png: no partner in .*other; expected an image named b there\.", lines[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to check: give --t1 and --flair, --mri and --other, --datalist or --dataset_dir"),
        (["--mri", "a.png"], "only mri was given: set both mri and other"),
        (["--t1", "a", "--flair", "b", "--datalist", "c"], "t1 and flair, datalist were given together"),
        (["--mri", "a.png", "--othr", "b.png"], "unrecognized arguments: --othr b.png; see python -m"),
        (["--modalities", "t2"], "expected 2 arguments"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_checked_is_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=re.escape(message)):
        check.main(arguments)


@pytest.mark.parametrize(
    "item", ["1", '{"mri": 1, "other": 2}', '{"t1": "a"}'], ids=["number", "numbers", "half an item"]
)
def test_an_item_that_is_none_is_refused_alone(tmp_path, item):
    (tmp_path / "cases.json").write_text(f"[{item}]")
    report = tmp_path / "r.json"
    assert check.main(["--datalist", str(tmp_path / "cases.json"), "--json", str(report)]) == 2
    (case,) = json.loads(report.read_text(encoding="utf-8"))["cases"]
    assert case["status"] == "refused" and "cases.json" in case["reason"] and "\n" not in case["reason"]


def test_the_command(tmp_path, run_module):
    """What the process prints and its exit code: 2 for a refused case, 1 when nothing can be checked."""
    maker = FileMaker(tmp_path)
    mri, short = maker.picture("m.png", grey()), maker.picture("short.png", grey(1)[1:])
    refused = (
        f"m refused: {mri} and {short}: the sizes differ, 24 x 20 against 23 x 20; register and resample the two onto "
        "one grid, or set resample to true (--resample True)."
    )
    command = [sys.executable, "-W", "ignore", "-m", "shared_networks.check", "--mri", str(mri), "--other", str(short)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300)
    assert done.returncode == 2 and done.stdout.splitlines() == [refused, "0 ok, 0 warned, 1 refused"], done.stderr
    assert "Traceback" not in done.stderr and "refused" not in done.stderr
    code, _, errors = run_module("shared_networks.check", "--resample")
    nothing = "error: nothing to check: give --t1 and --flair, --mri and --other, --datalist or --dataset_dir."
    assert code == 1 and errors.splitlines()[-1] == nothing


def test_good_pairs_have_exit_code_0_and_a_report_that_cannot_be_written_is_one_line(tmp_path, capsys):
    maker = FileMaker(tmp_path)
    given = ["--mri", str(maker.picture("m.png", grey())), "--other", str(maker.picture("c.png", grey(1)))]
    assert check.main(given) == 0
    assert capsys.readouterr().out.splitlines() == ["m ok", "1 ok, 0 warned, 0 refused"]
    with pytest.raises(InputError, match=r"cannot be written .*; give another file"):
        check.main([*given, "--json", str(tmp_path / "none" / "r.json")])
    shorter = ["--mri", given[1], "--other", str(maker.picture("short.png", grey(1)[1:])), "--resample"]
    assert check.main(shorter) == 0
    assert "m warned: short.png: resampled onto the grid of m.png" in capsys.readouterr().out
