"""`check_run` inside real workflows: a small config, run in process; once under the stock runner."""

import json
import logging
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from monai.bundle import ConfigParser, ConfigWorkflow, create_workflow, run

from shared_networks.errors import InputError
from shared_networks.runner.one_line_errors import find_input_error

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {
    "imports": ["$from pathlib import Path"],
    "dataset_dir": "",
    "datalist": "",
    "checkpoint": "",
    "beta": 0.0,
    "epochs": 1,
    "result": "",
    "train": {
        "trainer": {"_target_": "builtins.dict", "epochs": "@epochs"},
        "files": "$sorted(Path(str(@dataset_dir)).glob('*.png')) if not @datalist else [@datalist]",
        "weights": "@checkpoint",
    },
    "check_run": {
        "_target_": "shared_networks.runner.check_run",
        "required": [
            {"any_of": ["dataset_dir", "datalist"], "remedy": "give --dataset_dir FOLDER"},
            {"any_of": ["checkpoint"], "needed": "$@beta > 0", "remedy": "train one first"},
        ],
        "not_empty": ["train#files"],
        "for_each_process": [],
    },
    "initialize": ["@check_run"],
    "run": ["$Path(@result).write_text(str(@train#trainer['epochs']))"],
}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "configs" / "train.json"
    path.parent.mkdir()
    path.write_text(json.dumps(CONFIG))
    return str(path)


@pytest.fixture
def given(tmp_path):
    """Overrides with which the run is fine."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").touch()
    return {"dataset_dir": str(tmp_path / "data"), "result": str(tmp_path / "result.txt")}


@pytest.fixture
def as_command(monkeypatch):
    """The process looks as if it were `python -m monai.bundle`."""
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec("monai.bundle.__main__", None))
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    records = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(records)


def message_of(**arguments):
    """The line with which a run in process is refused."""
    with pytest.raises(Exception) as caught:
        run(**arguments)
    return str(find_input_error(caught.value))


@pytest.mark.parametrize(("text", "meaning"), [("true", True), ("false", False), (True, True)])
def test_switch_in_lower_case_reaches_everything_that_refers_to_it(tmp_path, text, meaning):
    config = {
        **CONFIG,
        "switch": not meaning,
        "outer": {"inner": {"switch": not meaning}, "use": "$not @outer#inner#switch"},
        "initialize": ["@check_run"],
        "run": ["$Path(@result).write_text(repr([@switch, @outer#use, @outer#inner]))"],
    }
    config["check_run"] = {"_target_": "shared_networks.runner.check_run"}
    (tmp_path / "configs").mkdir()
    path = tmp_path / "configs" / "train.json"
    path.write_text(json.dumps(config))
    run(config_file=str(path), result=str(tmp_path / "r.txt"), switch=text, **{"outer#inner#switch": text})
    assert (tmp_path / "r.txt").read_text() == repr([meaning, not meaning, {"switch": meaning}])


def test_whole_numbers_reach_everything_as_integers(tmp_path):
    config = {
        "result": "",
        "epochs": 3,
        "size": [8, 8],
        "parts": {"_target_": "builtins.dict", "epochs": "@epochs", "size": "@size"},
        "check_run": {"_target_": "shared_networks.runner.check_run"},
        "initialize": ["@check_run"],
        "imports": ["$from pathlib import Path"],
        "run": ["$Path(@result).write_text(repr(@parts) + repr(@size[0]))"],
    }
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    run(config_file=str(path), result=str(tmp_path / "r.txt"), epochs=1e2, size=[4.0, 5])
    assert (tmp_path / "r.txt").read_text() == "{'epochs': 100, 'size': [4, 5]}4"


def test_a_good_run_goes_through(config, given):
    run(config_file=config, **{"train#trainer#epochs": 7}, **given)
    assert Path(given["result"]).read_text() == "7"


def test_run_id_and_several_files(config, given, tmp_path):
    overlay = tmp_path / "configs" / "overlay.json"
    overlay.write_text(json.dumps({"extra": 5, "epochs": "$@extra + 1", "again": "%run"}))
    run("again", config_file=[config, str(overlay)], extra=2, **given)
    assert Path(given["result"]).read_text() == "3"
    assert "unknown key 'extr'" in message_of(config_file=[config, str(overlay)], extr=2, **given)


def test_unknown_key(config, given):
    assert message_of(config_file=config, epoch=3, **given) == "unknown key 'epoch' (did you mean 'epochs'?)"
    assert not Path(given["result"]).exists()


def test_unknown_key_in_args_file(config, given, tmp_path):
    arguments = tmp_path / "arguments.json"
    arguments.write_text(json.dumps({"config_file": config, "epochs": 4, **given}))
    run(args_file=str(arguments))
    assert Path(given["result"]).read_text() == "4"
    arguments.write_text(json.dumps({"config_file": config, "check_points": "x", **given}))
    assert message_of(args_file=str(arguments)) == "unknown key 'check_points' (did you mean 'checkpoint'?)"


def test_required_paths(config, given, tmp_path):
    nothing = {"result": given["result"]}
    assert message_of(config_file=config, **nothing) == "dataset_dir or datalist is not set: give --dataset_dir FOLDER"
    missing = str(tmp_path / "missing")
    assert (
        message_of(config_file=config, **given | {"dataset_dir": missing})
        == f"dataset_dir: {missing} does not exist: give --dataset_dir FOLDER"
    )
    assert message_of(config_file=config, beta=1.0, **given) == "checkpoint is not set: train one first"


def test_empty_list(config, given, tmp_path):
    (tmp_path / "empty").mkdir()
    said = message_of(config_file=config, **given | {"dataset_dir": str(tmp_path / "empty")})
    assert said.startswith("train files is empty")


def test_fewer_cases_than_processes(config, given, monkeypatch):
    keys = given | {"check_run#for_each_process": ["train#files"]}
    monkeypatch.setenv("WORLD_SIZE", "1")
    run(config_file=config, **keys)
    monkeypatch.setenv("WORLD_SIZE", "3")
    said = message_of(config_file=config, **keys)
    assert said == "1 cases are too few for 3 processes: start at most 1 (--nproc_per_node)"


def test_requirement_falls_with_what_used_it(config, tmp_path):
    """MONAI Label puts its own list in the place of the one made from the folder."""
    result = tmp_path / "result.txt"
    run(config_file=config, result=str(result), **{"train#files": [{"image": "x"}]})
    assert result.read_text() == "1"


def test_what_building_a_list_says(config, given, as_command):
    """An InputError from inside becomes the line; another error stays what it is."""
    fault = "$(_ for _ in ()).throw(__import__('shared_networks.errors', fromlist=['']).InputError('bad list'))"
    with pytest.raises(SystemExit, match=r"^error: bad list$"):
        run(config_file=config, **given, **{"train#files": fault})
    with pytest.raises(RuntimeError):
        run(config_file=config, **given, **{"train#files": "$1 / 0"})


def test_the_command_ends_with_one_line(config, given, as_command):
    with pytest.raises(SystemExit) as caught:
        run(config_file=config, t2="x", **given)
    assert str(caught.value).startswith("error: unknown key 't2' (known here: ")
    assert "\n" not in str(caught.value)


def test_a_word_that_takes_the_place_of_initialize(config, given, tmp_path):
    """The second file of a pattern that a shell filled in; nothing would be checked, and the word never missed."""
    content = json.loads(Path(config).read_text())
    content["train"]["trainer"]["_requires_"] = "@check_run"
    Path(config).write_text(json.dumps(content))
    said = "b.png: belongs to no --key; every key takes one value: put a pattern of files (*) or a name with blanks in"
    assert message_of(run_id="run", init_id="b.png", config_file=config, **given).startswith(said)
    assert not (tmp_path / "result.txt").exists()
    run("run", "imports", config_file=config, **given)  # another id of the config
    run("run", "", config_file=config, **given)
    assert (tmp_path / "result.txt").read_text() == "1"


def test_looking_at_a_workflow_asks_for_no_data(config):
    assert create_workflow(config_file=config).parser["epochs"] == 1
    with pytest.raises(RuntimeError) as caught:
        create_workflow(config_file=config, epoch=1)
    assert isinstance(find_input_error(caught.value), InputError)


def test_other_users_of_the_config_do_not_trip(config):
    ConfigWorkflow(config, logging_file=False, unheard_of=1).initialize()
    parser = ConfigParser()
    parser.read_config(config)
    assert parser.get_parsed_content("check_run") is None


def test_none_is_none_and_not_the_default(config, given, as_command, monkeypatch, tmp_path):
    """MONAI leaves out what is None."""
    monkeypatch.setattr(sys, "argv", ["monai.bundle", "run", "--epochs", "None", "--datalist", "None"])
    run(config_file=config, **given)
    assert (tmp_path / "result.txt").read_text() == "None"
    monkeypatch.setattr(sys, "argv", ["monai.bundle", "run", "--epoch", "None"])
    with pytest.raises(SystemExit, match=r"error: unknown key 'epoch' \(did you mean 'epochs'\?\)"):
        run(config_file=config, **given)


def test_stock_runner(config, given):
    """The real command: exit code 1, and the line is the last one printed."""
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", config, "--epoch", "3"]
    command += [part for key, value in given.items() for part in (f"--{key}", value)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: unknown key 'epoch' (did you mean 'epochs'?)"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", sorted(ROOT.glob("*_bundle/configs/*.json")), ids=lambda path: path.stem)
def test_no_network_of_a_bundle_is_made_without_the_check(path):
    config = json.loads(path.read_text(encoding="utf-8"))
    if "check_run" in config and "network_def" in config:
        required = config["network_def"]["_requires_"]
        assert (config["code_version"]["_requires_"] if required == "@code_version" else required) == "@check_run"
