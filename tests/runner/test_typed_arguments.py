"""What a user types is what a bundle takes: values that Fire reads as Python, and texts with a #."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import fire
import pytest
from monai.bundle import run

from shared_networks import check
from shared_networks.errors import InputError
from shared_networks.runner.typed_arguments import (
    as_typed,
    refuse_doubled,
    shell_line,
    texts_with_marks,
    typed_command,
    typed_values,
)

ROOT = Path(__file__).resolve().parents[2]
FILES = {"t1": "", "output_dir": "$os.path.join(@bundle_root, 'eval')", "label_map": "tissue", "epochs": 3}


def test_typed_values_reads_flags_as_fire_does():
    words = ["inferring", "--t1", "a#1", "--out-put=x=y", "-k", "-5", "--net#b", "1", "--last", "--t1", "b"]
    expected = {"t1": "b", "out_put": "x=y", "k": "-5", "net#b": "1", "last": None}
    assert typed_values(words) == expected
    by_fire = fire.Fire(lambda *_, **keys: keys, command=words, serialize=lambda _: "")
    assert {key: str(value) for key, value in by_fire.items()} == expected | {"last": "True"}


def test_a_key_given_twice_is_refused():
    """Also where it is written in another way; the last one would count."""
    for words in (["--t1", "a", "--t1", "b"], ["--net#b", "1", "--net::b=2"], ["--out-dir", "a", "--out_dir", "a"]):
        key = words[0].lstrip("-").replace("-", "_")
        with pytest.raises(InputError, match=f"^{key}: given more than once on the command line; keep one of each.$"):
            refuse_doubled(["run", "--flair", "c", *words])
    refuse_doubled(["run", "--t1", "a", "--t2", "a", "--net#a", "1", "--net#b", "1"])
    with pytest.raises(InputError, match=r"^--mri: given more than once"):
        check.main(["--mri", "a", "--other", "b", "--mri", "c"])


@pytest.mark.parametrize(
    "word", ["['a.json','b.json']", "a b", "$HOME", "it's `x`", "$'runs/eval'", "é#1", "", "--t1=a"]
)
def test_a_noted_command_can_be_pasted(word, monkeypatch):
    assert shlex.split(shell_line(["run", word])) == ["run", word]
    done = subprocess.run(["bash", "-c", f"printf %s {shell_line([word])}"], capture_output=True, check=True)
    assert done.stdout.decode() == word
    monkeypatch.setattr(sys, "argv", ["/somewhere/monai/bundle/__main__.py", "run", "['a']"])
    assert typed_command() == """python -m monai.bundle run "['a']\""""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("2024_06_30", 20240630),
        ("1e3", 1000.0),
        ("out,a", ("out", "a")),
        ("run#2", "run"),
        ("[a]", ["a"]),
        ("0x1f", 31),
    ],
)
def test_a_path_is_what_was_typed(text, read):
    assert fire.parser.DefaultParseValue(text) == read
    assert as_typed({"output_dir": read}, {"output_dir": text}, FILES) == ({"output_dir": text}, [])
    assert as_typed({"t1": read}, {"t1": text}, FILES, paths=["t1"]) == ({"t1": text}, [])


def test_home_is_what_the_shell_left(monkeypatch, tmp_path):
    """``--key=~/a`` reaches the program as it is, and would be a folder named ~."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "expanduser", lambda path: Path(str(path).replace("~", "/me", 1)))
    for key, text, meant in (
        ("output_dir", "~/a#1", "/me/a#1"),
        ("output_dir", "~", "/me"),
        ("t1", "~/a.nii", "/me/a.nii"),
        ("output_dir", "a~/b", "a~/b"),
        ("label_map", "~/a", "~/a"),  # no path
    ):
        assert as_typed({key: text}, {key: text}, FILES, paths=["t1"]) == (
            {key: str(Path(meant)) if meant != "~/a" else meant},
            [],
        )
    (tmp_path / "~").mkdir()
    assert as_typed({"t1": "~/a"}, {"t1": "~/a"}, FILES, paths=["t1"]) == ({"t1": "~/a"}, [])


@pytest.mark.parametrize(("given", "text"), [({}, "None"), ({"output_dir": ""}, "")])
def test_a_path_that_would_become_another_one_is_refused(given, text):
    """MONAI leaves out what is None, so that the default would be written to."""
    fault = f"output_dir is {text or 'empty'}; give a path (./None for one of that name)"
    assert as_typed(given, {"output_dir": text}, FILES)[1] == [fault]
    assert as_typed({}, {"t1": text, "epochs": text}, FILES) == ({}, [])


@pytest.mark.parametrize(("key", "text", "read"), [("label_map", "{1: 2}", {1: 2}), ("epochs", "1e3", 1000.0)])
def test_what_is_no_path_stays_as_fire_read_it(key, text, read):
    assert as_typed({key: read}, {key: text}, FILES) == ({key: read}, [])


def test_quotes_and_none_keep_their_meaning():
    given, typed = {"output_dir": "a b", "t1": None}, {"output_dir": "'a b'", "t1": "None"}
    assert as_typed(given, typed, FILES) == (given, [])


def test_a_path_without_value_is_a_fault():
    assert as_typed({"output_dir": True}, {"output_dir": None}, FILES)[1] == ["output_dir was given without a value"]


def test_texts_with_marks_finds_them_at_any_depth_and_leaves_the_files_alone():
    files = {"a": {"b": ["x#y", "@c#d", "plain"]}, "e": ""}
    assert texts_with_marks(files, {"e": "/r#1", "a#b#2": "z#"}) == {"a::b::0": "x#y", "e": "/r#1", "a::b::2": "z#"}
    assert files == {"a": {"b": ["x#y", "@c#d", "plain"]}, "e": ""}


CONFIG = {
    "imports": ["$import json", "$from pathlib import Path"],
    "bundle_root": ".",
    "dataset_dir": "",
    "output_dir": "$os.path.join(@bundle_root, 'eval')",
    "names": ["a"],
    "part": {"_target_": "builtins.dict", "literal": "", "folder": "@dataset_dir"},
    "check_run": {"_target_": "shared_networks.runner.check_run"},
    "initialize": ["@check_run"],
    "run": ["$Path('seen.json').write_text(json.dumps([@bundle_root, @dataset_dir, @output_dir, @names, @part]))"],
}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config that writes what it was given; the working folder is ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "configs" / "c.json"
    path.parent.mkdir()
    path.write_text(json.dumps(CONFIG))
    return str(path)


def test_marks_reach_every_item_that_refers_to_the_key(config):
    texts = {"bundle_root": "/b#1", "dataset_dir": "C:\\a#b@c's", "output_dir": "/o#", "names": ["s#1", "t"]}
    run(config_file=config, **texts, **{"part#literal": "l#1"})
    part = {"literal": "l#1", "folder": texts["dataset_dir"]}
    assert json.loads(Path("seen.json").read_text()) == [*texts.values(), part]


def test_stock_runner_takes_paths_as_typed(config):
    """One process, because each takes seconds to start."""
    texts = {"bundle_root": "2024_06_30", "dataset_dir": "run#2", "output_dir": "out,a"}
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", config]
    command += [part for key, value in texts.items() for part in (f"--{key}", value)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([*command, "--names", "['b', 'c']"], env=environment, capture_output=True, check=True)
    part = {"literal": "", "folder": "run#2"}
    assert json.loads(Path("seen.json").read_text()) == ["2024_06_30", "run#2", "out,a", ["b", "c"], part]


def test_stock_runner_refuses_a_key_given_twice(config):
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", config, "--dataset_dir", "a"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--dataset_dir=b"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and not Path("seen.json").exists()
    assert done.stderr.splitlines()[-1] == (
        "error: dataset_dir: given more than once on the command line; keep one of each."
    )
